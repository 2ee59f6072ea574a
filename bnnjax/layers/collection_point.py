"""Where collectors see a tensor: the operands of contractions."""

import jax
from flax import nnx

from bnnjax.core.collector import Collector


class Collected(nnx.Variable):
  """The state of a collector while it is attached, see `layers.collect`.

  Metadata: `collector`, which made the state and updates it.
  """

  deployed = False  # what `cost` asks


class Learned(Collected):
  """What a binarizer learns at a loop event, see `layers.collect.learning`.

  Parameters, statistics, and the progress of the run: its variables in a pass.
  """


class CollectionPoint(nnx.Module):
  """A module whose input collectors may see.

  A bare one stands in front of a contraction that has no layer of its own.

  Attributes:
    collected: of the collector that is attached, `None` without one.
    rowless: why collectors of `rows` cannot see it, empty if they can.
  """

  collected: Collected | None = None
  rowless: str = ""

  def show(self, x: jax.Array) -> jax.Array:
    """`x`, which an attached collector has seen."""
    if self.collected is not None:
      made: Collector = self.collected.get_metadata("collector")
      seen = jax.lax.stop_gradient(self.rows(x) if made.rows else x)
      state = self.collected.get_value()
      self.collected.set_value(made.update(state, seen))
    return x

  def rows(self, x: jax.Array) -> jax.Array:
    """What a kernel is multiplied with, `[..., K]`, of the input."""
    return x
