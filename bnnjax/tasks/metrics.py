"""Metrics of tasks that choose one of several answers."""

from typing import Any

import flax
import jax
import jax.numpy as jnp
from clu import metrics

TOP = 5  # answers, of more classes than these


@flax.struct.dataclass
class EvalMetrics(metrics.Collection):
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
class ClassMetrics(metrics.Collection):
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
class TrainMetrics(metrics.Collection):
  """Means over the examples (or, of means, the steps) of an interval."""

  loss: metrics.Average.from_output("loss")
  accuracy: metrics.Average.from_output("correct")
  grad_norm: metrics.Average.from_output("grad_norm")
  flip_ratio: metrics.Average.from_output("flip_ratio")
