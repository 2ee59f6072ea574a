"""Classification, with or without a teacher."""

from collections.abc import Mapping
from typing import Any

import flax
import jax
import jax.numpy as jnp
import optax
from clu import metrics
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.progress import DEPLOYED, Mode

DISTILL_FIELDS = {"teacher": "", "temperature": 1.0, "weight": 1.0}


def soft_cross_entropy(
  logits: jax.Array, teacher_probabilities: jax.Array
) -> jax.Array:
  """`-sum_c p_c log softmax(logits)_c` per example.

  The loss of PokeBNN (2112.00133, sec. 4.1; no label term, temperature 1).

  Args:
    logits: of the student, `[..., classes]`.
    teacher_probabilities: `[..., classes]`, not differentiated.

  Returns:
    `[...]`.
  """
  target = jax.lax.stop_gradient(teacher_probabilities)
  return optax.softmax_cross_entropy(logits.astype(jnp.float32), target)


@flax.struct.dataclass
class EvalMetrics(metrics.Collection):
  """Means over examples."""

  loss: metrics.Average.from_output("loss")
  accuracy: metrics.Average.from_output("correct")


@flax.struct.dataclass
class TrainMetrics(metrics.Collection):
  """Means over the examples (`loss`, `accuracy`) or steps of an interval."""

  loss: metrics.Average.from_output("loss")
  accuracy: metrics.Average.from_output("correct")
  grad_norm: metrics.Average.from_output("grad_norm")
  flip_ratio: metrics.Average.from_output("flip_ratio")


@registry.register("task", "classification")
class Classification:
  """Cross-entropy on labels, or on a teacher's soft labels, or both.

  `loss = (1 - weight) CE(labels) + weight T^2 CE(softmax(teacher / T))`.

  Args:
    label_smoothing: share of the label spread over all classes.
    distill: `teacher`, the workdir of a trained run (float or quantized),
      `temperature` T, and `weight`, 1 for no label term (PokeBNN). Empty: none.

  Raises:
    ValueError: unknown distillation field, value out of range.
  """

  train_metrics = TrainMetrics
  eval_metrics = EvalMetrics
  headline = (
    "accuracy"  # the number that best checkpoints go by; higher is best
  )

  def __init__(
    self,
    *,
    label_smoothing: float = 0.0,
    distill: Mapping[str, Any] | None = None,
  ):
    if not 0 <= label_smoothing < 1:
      raise ValueError(
        f"`label_smoothing` must be in [0, 1), got {label_smoothing}."
      )
    given = dict(distill or {})
    for key in given:
      if key not in DISTILL_FIELDS:
        raise registry.unknown("field of `distill`", key, DISTILL_FIELDS)
    settings = {**DISTILL_FIELDS, **given}
    self.teacher = settings["teacher"]
    self.temperature, self.weight = settings["temperature"], settings["weight"]
    if given and not self.teacher:
      raise ValueError(
        "`task.distill` needs `teacher`: a trained run's workdir."
      )
    if not 0 <= self.weight <= 1 or self.temperature <= 0:
      raise ValueError(
        "`distill.weight` must be in [0, 1] and `temperature` above 0, got"
        f" {self.weight} and {self.temperature}."
      )
    self.label_smoothing = label_smoothing

  def loss(
    self,
    model: nnx.Module,
    batch: Mapping[str, jax.Array],
    mode: Mode,
    teacher: nnx.Module | None = None,
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Mean loss of a batch, and per example `loss` and `correct`."""
    logits = model(batch["image"], mode).astype(jnp.float32)
    labels = jax.nn.one_hot(batch["label"], logits.shape[-1])
    smooth = optax.smooth_labels(labels, self.label_smoothing)
    loss = optax.softmax_cross_entropy(logits, smooth)
    if teacher is not None:
      t = self.temperature
      hints = teacher(batch["image"], DEPLOYED).astype(jnp.float32)
      soft = jax.nn.softmax(hints / t)
      hint = t**2 * soft_cross_entropy(logits / t, soft)
      loss = (1 - self.weight) * loss + self.weight * hint
    correct = jnp.argmax(logits, -1) == batch["label"]
    return jnp.mean(loss), {"loss": loss, "correct": correct}

  def evaluate(
    self, model: nnx.Module, batch: Mapping[str, jax.Array]
  ) -> dict[str, jax.Array]:
    """Per example `loss`, `correct` and `mask`, by the deployed network."""
    logits = model(batch["image"], DEPLOYED).astype(jnp.float32)
    loss = optax.softmax_cross_entropy_with_integer_labels(
      logits, batch["label"]
    )
    correct = jnp.argmax(logits, -1) == batch["label"]
    return {"loss": loss, "correct": correct, "mask": batch["mask"]}
