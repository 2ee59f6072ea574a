"""Metrics of tasks: collections that inherit, top-5, means over tokens."""

import dataclasses
import inspect
from typing import Any

import flax
import jax
import jax.numpy as jnp
from clu import metrics

TOP = 5  # likeliest classes; not measured for as few classes


class Collection(metrics.Collection):
  """A clu collection whose subclasses inherit the metrics of their bases.

  clu itself reads the annotations of the class only.
  """

  def __init_subclass__(cls, **kwargs: Any):
    super().__init_subclass__(**kwargs)
    found = {}
    for base in reversed(cls.__mro__):
      if issubclass(base, Collection):
        found |= inspect.get_annotations(base)
    cls.__annotations__ = found


def names_of(metrics: Any) -> tuple[str, ...]:
  """Names of the metrics of a clu `Collection`, including inherited ones."""
  fields = (field.name for field in dataclasses.fields(metrics))
  return tuple(name for name in fields if not name.startswith("_"))


@flax.struct.dataclass
class Loss(Collection):
  """Mean loss of the examples."""

  loss: metrics.Average.from_output("loss")


@flax.struct.dataclass
class TrainLoss(Collection):
  """Mean loss, and the values that the training loop adds for every task."""

  loss: metrics.Average.from_output("loss")
  grad_norm: metrics.Average.from_output("grad_norm")
  flip_ratio: metrics.Average.from_output("flip_ratio")


@flax.struct.dataclass
class EvalMetrics(Collection):
  """Means over examples or hidden tokens."""

  loss: metrics.Average.from_output("loss")
  accuracy: metrics.Average.from_output("correct")


@flax.struct.dataclass
class _Top(metrics.Average):
  """Fraction of labels among the likeliest classes, if it was measured."""

  @classmethod
  def from_model_output(cls, *, in_top: jax.Array | None = None, mask, **_):
    if in_top is None:
      return cls.empty()
    return super().from_model_output(in_top, mask=mask)


@flax.struct.dataclass
class ClassMetrics(Collection):
  """Means over examples; `top5` only with more than five classes."""

  loss: metrics.Average.from_output("loss")
  accuracy: metrics.Average.from_output("correct")
  top5: _Top

  def compute(self) -> dict[str, Any]:
    """The means, without `top5` if it was not measured."""
    got = super().compute()
    if not self.top5.count:
      del got["top5"]
    return got


def in_top(logits: jax.Array, labels: jax.Array) -> dict[str, jax.Array]:
  """Whether labels are among the likeliest classes, for `ClassMetrics`.

  Among equal scores the first class counts, as in `argmax`.

  Args:
    logits: `[B, classes]`.
    labels: int `[B]`.

  Returns:
    `in_top`, bool `[B]`; nothing if there are at most `TOP` classes.
  """
  if logits.shape[-1] <= TOP:
    return {}
  likeliest = jax.lax.top_k(logits, TOP)[1]
  return {"in_top": jnp.any(likeliest == labels[:, None], -1)}


def masked_means(
  loss: jax.Array, correct: jax.Array, mask: jax.Array
) -> tuple[jax.Array, dict[str, jax.Array]]:
  """Means over the entries of a mask, in the form that `Task.loss` returns.

  Args:
    loss, correct, mask: `[...]`, `mask` 1 or True for the entries that count.
  """
  count = jnp.sum(mask)

  def mean(values):
    return jnp.sum(values * mask) / jnp.maximum(count, 1)

  total = mean(loss)
  return total, {"loss": total, "correct": mean(correct), "weight": count}


@flax.struct.dataclass
class TrainMetrics(Collection):
  """Means over the examples of an interval, or its steps for scalar outputs."""

  loss: metrics.Average.from_output("loss")
  accuracy: metrics.Average.from_output("correct")
  grad_norm: metrics.Average.from_output("grad_norm")
  flip_ratio: metrics.Average.from_output("flip_ratio")
