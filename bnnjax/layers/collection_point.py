"""Where collectors can observe a tensor: the operands of contractions."""

import jax
from flax import nnx

from bnnjax.core.collector import Collector


class Collected(nnx.Variable):
  """The state of a collector while it is attached, see `layers.collect`.

  Metadata: `collector`, which made the state and updates it.
  """

  deployed = False  # read by `cost`


class Learned(Collected):
  """The variables of a binarizer in a pass of `layers.collect.learning`.

  Parameters, statistics, and the progress of the run.
  """


class CollectionPoint(nnx.Module):
  """A module whose input collectors can observe.

  By itself it stands in front of a contraction that has no layer of its own.

  Attributes:
    collected: state of the attached collector, `None` without one.
    why_no_rows: why there are no `rows` to collect; empty if there are.
  """

  collected: Collected | None = None
  why_no_rows: str = ""

  def observe(self, x: jax.Array) -> jax.Array:
    """`x`, after showing it to the attached collector."""
    if self.collected is not None:
      made: Collector = self.collected.get_metadata("collector")
      seen = jax.lax.stop_gradient(self.rows(x) if made.rows else x)
      state = self.collected.get_value()
      self.collected.set_value(made.update(state, seen))
    return x

  def rows(self, x: jax.Array) -> jax.Array:
    """The vectors `[..., K]` that multiply the kernel, made of the input."""
    return x
