"""Metrics: collections that can be derived from, and those of our tasks."""

import dataclasses
import inspect
from typing import Any

import flax
import jax
import jax.numpy as jnp
from clu import metrics

TOP = 5  # answers, of more classes than these


class Collection(metrics.Collection):
  """A clu collection whose subclasses keep the metrics of their bases.

  clu itself reads the annotations of a class alone.
  """

  def __init_subclass__(cls, **kwargs: Any):
    super().__init_subclass__(**kwargs)
    found = {}
    for base in reversed(cls.__mro__):
      if issubclass(base, Collection):
        found |= inspect.get_annotations(base)
    cls.__annotations__ = found


def names_of(metrics: Any) -> tuple[str, ...]:
  """Names of the metrics of a clu `Collection`, those of its bases too."""
  fields = (field.name for field in dataclasses.fields(metrics))
  return tuple(name for name in fields if not name.startswith("_"))


@flax.struct.dataclass
class Loss(Collection):
  """Mean loss of the examples."""

  loss: metrics.Average.from_output("loss")


@flax.struct.dataclass
class TrainLoss(Collection):
  """Mean loss, and what the loop measures of every task."""

  loss: metrics.Average.from_output("loss")
  grad_norm: metrics.Average.from_output("grad_norm")
  flip_ratio: metrics.Average.from_output("flip_ratio")


@flax.struct.dataclass
class EvalMetrics(Collection):
  """Means over what is answered: examples, or hidden tokens."""

  loss: metrics.Average.from_output("loss")
  accuracy: metrics.Average.from_output("correct")


@flax.struct.dataclass
class _Top(metrics.Average):
  """Share of examples whose label is among the likeliest answers, if asked."""

  @classmethod
  def from_model_output(cls, *, in_top: jax.Array | None = None, mask, **_):
    if in_top is None:
      return cls.empty()
    return super().from_model_output(in_top, mask=mask)


@flax.struct.dataclass
class ClassMetrics(Collection):
  """Means over examples; `top5` where there are more classes than these."""

  loss: metrics.Average.from_output("loss")
  accuracy: metrics.Average.from_output("correct")
  top5: _Top

  def compute(self) -> dict[str, Any]:
    """The means, without that of no example."""
    got = super().compute()
    if not self.top5.count:
      del got["top5"]
    return got


def in_top(logits: jax.Array, labels: jax.Array) -> dict[str, jax.Array]:
  """Whether labels are among the likeliest answers, as `ClassMetrics` reads it.

  Of equal scores the first class counts, as for `argmax`.

  Args:
    logits: `[B, classes]`.
    labels: int `[B]`.

  Returns:
    `in_top`, bool `[B]`; nothing, of as few classes.
  """
  if logits.shape[-1] <= TOP:
    return {}
  likeliest = jax.lax.top_k(logits, TOP)[1]
  return {"in_top": jnp.any(likeliest == labels[:, None], -1)}


@flax.struct.dataclass
class TrainMetrics(Collection):
  """Means over the examples (or, of means, the steps) of an interval."""

  loss: metrics.Average.from_output("loss")
  accuracy: metrics.Average.from_output("correct")
  grad_norm: metrics.Average.from_output("grad_norm")
  flip_ratio: metrics.Average.from_output("flip_ratio")
