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

MIXUP_SEED = 2  # of the mixup draws; data order uses the seed of the run


@registry.register("task", "classification")
class Classification(Task):
  """Cross-entropy on labels, or on a teacher's soft labels, or both.

  Args:
    label_smoothing: fraction of the label to spread over all classes.
    mixup: `alpha` of mixup (Zhang et al., ICLR 2018, arXiv:1710.09412, eq. 1)
      for images in training: `x' = l x_i + (1 - l) x_j`, and the same for
      labels, with one `l ~ Beta(alpha, alpha)` per step and `j` a permutation
      of the batch, as in the authors' code. Both depend on the step alone, and
      a teacher sees the same `x'`. 0 means no mixup; the paper has 0.2 on
      ImageNet.
    distill: settings of a teacher, see `Distillation`; empty without one.

  Raises:
    ValueError: unknown distillation field, value out of range, or smoothing
      without a label term.
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
    """Raises if a setting has no meaning for the data.

    Raises:
      ValueError: `ignore_padding` for images, or mixup for texts.
    """
    if self.distillation.ignore_padding and info.kind is IMAGES:
      raise ValueError(
        "`distill.ignore_padding` is for texts, but the data are images: leave"
        " it out."
      )
    if self.mixup and info.kind is not IMAGES:
      raise ValueError(
        "`task.mixup` mixes images, but the data are texts, and there is no"
        f" word between two: leave it out, got {self.mixup}."
      )

  def loss(
    self,
    model: nnx.Module,
    batch: Mapping[str, jax.Array],
    mode: Mode,
    teacher: nnx.Module | None = None,
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Mean loss of a batch, and per example `loss` and `correct`.

    `correct` of a mixed example is the weight of the predicted class in it.
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
    """A function that mixes the rows of arrays, all in the same way."""
    if not self._mixes(mode):
      return lambda x: x
    draw, shuffle = jax.random.split(mode.fold_in(jax.random.key(MIXUP_SEED)))
    share = jax.random.beta(draw, self.mixup, self.mixup)
    other = jax.random.permutation(shuffle, examples)
    return lambda x: (share * x + (1 - share) * x[other]).astype(x.dtype)

  def evaluate(
    self, model: nnx.Module, batch: Mapping[str, jax.Array]
  ) -> dict[str, jax.Array]:
    """Outputs of the deployed network for `ClassMetrics`, per example."""
    logits = self.forward(model, *self.inputs(batch)).astype(jnp.float32)
    loss = optax.softmax_cross_entropy_with_integer_labels(
      logits, batch["label"]
    )
    correct = jnp.argmax(logits, -1) == batch["label"]
    outputs = {"loss": loss, "correct": correct, "mask": batch["mask"]}
    return outputs | in_top(logits, batch["label"])
