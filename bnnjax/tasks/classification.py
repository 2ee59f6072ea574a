"""Classification, with or without a teacher."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.numbers import number
from bnnjax.core.progress import Mode
from bnnjax.data.sources import IMAGES, DatasetInfo
from bnnjax.data.tokenizer import PAD
from bnnjax.tasks.base import LABEL, Task
from bnnjax.tasks.distillation import Distillation
from bnnjax.tasks.metrics import ClassMetrics, TrainMetrics, in_top


@registry.register("task", "classification")
class Classification(Task):
  """Cross-entropy on labels, or on a teacher's soft labels, or both.

  Args:
    label_smoothing: share of the label spread over all classes.
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

  def example(self, info: DatasetInfo) -> dict[str, jax.ShapeDtypeStruct]:
    """The input, and `label` int32 `[1]`."""
    return {**super().example(info), "label": LABEL}

  def check_data(self, info: DatasetInfo) -> None:
    """Refuses settings that mean nothing for the data.

    Raises:
      ValueError: padding to ignore, in images.
    """
    if self.distillation.ignore_padding and info.kind is IMAGES:
      raise ValueError(
        "`distill.ignore_padding` is for texts, the data are images: leave it"
        " out."
      )

  def loss(
    self,
    model: nnx.Module,
    batch: Mapping[str, jax.Array],
    mode: Mode,
    teacher: nnx.Module | None = None,
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Mean loss of a batch, and per example `loss` and `correct`."""
    inputs, distillation = self.inputs(batch), self.distillation
    logits, left = distillation.call(self.forward, model, *inputs, mode=mode)
    labels = jax.nn.one_hot(batch["label"], logits.shape[-1])
    smooth = optax.smooth_labels(labels, self.label_smoothing)
    loss = optax.softmax_cross_entropy(logits, smooth)
    if teacher is not None:
      hints = distillation.hints(self.forward, teacher, *inputs)
      tokens = batch["tokens"] != PAD if "tokens" in batch else None
      loss = distillation.loss(loss, (logits, left), hints, tokens)
    correct = jnp.argmax(logits, -1) == batch["label"]
    return jnp.mean(loss), {"loss": loss, "correct": correct}

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
