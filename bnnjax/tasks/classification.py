"""Classification, with or without a teacher."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.number_checks import number
from bnnjax.core.progress import Mode
from bnnjax.data.sources import IMAGES, DatasetInfo
from bnnjax.data.wordpiece import PAD
from bnnjax.tasks.base import LABEL, Task
from bnnjax.tasks.distillation import Distillation
from bnnjax.tasks.metrics import ClassMetrics, TrainMetrics, in_top

MIXUP_SEED = 2  # of pairs and shares; the order of the data has the run's own


@registry.register("task", "classification")
class Classification(Task):
  """Cross-entropy on labels, or on a teacher's soft labels, or both.

  Args:
    label_smoothing: share of the label spread over all classes.
    mixup: `alpha` of mixup (Zhang et al., ICLR 2018, arXiv:1710.09412, eq. 1), in
      training, of images: `x' = l x_i + (1 - l) x_j`, the labels alike, with
      `l ~ Beta(alpha, alpha)`, one a step, and `j` a permutation of the batch, as
      in the authors' code. Both follow from the step. A teacher sees the same
      `x'`. 0: none; 0.2 in the paper on ImageNet.
    distill: a teacher and what is learned from it, see `Distillation`; empty:
      none.

  Raises:
    ValueError: unknown distillation field, value out of range, smoothing of
      labels that are not learned.
  """

  needs = ("num_classes",)
  train_metrics = TrainMetrics
  eval_metrics = ClassMetrics
  headline, highest_is_best = "accuracy", True

  def __init__(
    self,
    *,
    label_smoothing: float = 0.0,
    mixup: float = 0.0,
    distill: Mapping[str, Any] | None = None,
  ):
    if number("label_smoothing", label_smoothing, 0) >= 1:
      raise ValueError(
        f"`label_smoothing` must be in [0, 1), got {label_smoothing}."
      )
    self.distillation = Distillation(distill)
    if label_smoothing and self.teacher and not self.distillation.label_weight:
      raise ValueError(
        "Nothing reads `label_smoothing` where no label is learned"
        f" (`distill.label_weight` is 0), got {label_smoothing}: leave it out."
      )
    self.label_smoothing = label_smoothing
    self.mixup = number("mixup", mixup, 0)

  def example(self, info: DatasetInfo) -> dict[str, jax.ShapeDtypeStruct]:
    """The input, and `label` int32 `[1]`."""
    return {**super().example(info), "label": LABEL}

  def check_data(self, info: DatasetInfo) -> None:
    """Refuses settings that mean nothing for the data.

    Raises:
      ValueError: padding to ignore, in images; texts to mix.
    """
    if self.distillation.ignore_padding and info.kind is IMAGES:
      raise ValueError(
        "`distill.ignore_padding` is for texts, the data are images: leave it"
        " out."
      )
    if self.mixup and info.kind is not IMAGES:
      raise ValueError(
        "`task.mixup` mixes images, the data are texts, and there is no word"
        f" between two: leave it out, got {self.mixup}."
      )

  def loss(
    self,
    model: nnx.Module,
    batch: Mapping[str, jax.Array],
    mode: Mode,
    teacher: nnx.Module | None = None,
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Mean loss of a batch, and per example `loss` and `correct`.

    `correct` of a mixed example is the share of the predicted class in it.
    """
    inputs, distillation = self.inputs(batch), self.distillation
    mix = self._mixing(mode, len(batch["label"]))
    inputs = jax.tree.map(mix, inputs)
    student = distillation.forward(self.forward, model, *inputs, mode=mode)
    logits, _ = student
    labels = mix(jax.nn.one_hot(batch["label"], logits.shape[-1]))
    smooth = optax.smooth_labels(labels, self.label_smoothing)
    loss = optax.softmax_cross_entropy(logits, smooth)
    if teacher is not None:
      targets = distillation.teacher_targets(self.forward, teacher, *inputs)
      tokens = batch["tokens"] != PAD if "tokens" in batch else None
      loss = distillation.loss(loss, student, targets, tokens)
    likeliest = jnp.argmax(logits, -1)
    correct = likeliest == batch["label"]
    if self._mixes(mode):
      correct = jnp.take_along_axis(labels, likeliest[:, None], -1)[:, 0]
    return jnp.mean(loss), {"loss": loss, "correct": correct}

  def _mixes(self, mode: Mode) -> bool:
    return bool(self.mixup) and mode.train

  def _mixing(
    self, mode: Mode, examples: int
  ) -> Callable[[jax.Array], jax.Array]:
    """Mixes the rows of an array, in each of the same length alike."""
    if not self._mixes(mode):
      return lambda x: x
    draw, shuffle = jax.random.split(mode.fold_in(jax.random.key(MIXUP_SEED)))
    share = jax.random.beta(draw, self.mixup, self.mixup)
    other = jax.random.permutation(shuffle, examples)
    return lambda x: (share * x + (1 - share) * x[other]).astype(x.dtype)

  def evaluate(
    self, model: nnx.Module, batch: Mapping[str, jax.Array]
  ) -> dict[str, jax.Array]:
    """Per example what `ClassMetrics` reads, by the deployed network."""
    logits = self.forward(model, *self.inputs(batch)).astype(jnp.float32)
    loss = optax.softmax_cross_entropy_with_integer_labels(
      logits, batch["label"]
    )
    correct = jnp.argmax(logits, -1) == batch["label"]
    outputs = {"loss": loss, "correct": correct, "mask": batch["mask"]}
    return outputs | in_top(logits, batch["label"])
