"""Scales that belong to a layer's output rather than to an operand."""

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.progress import Mode
from bnnjax.layers.binarize import BinarizerParam


@registry.register("output", "channel")
class ChannelScale(nnx.Module):
  """One trained factor for each output channel, ones at the start.

  XNOR-Net++ (Bulat & Tzimiropoulos 2019, 1909.13863), eq. 3, case 1: `y * alpha`,
  `alpha [out_features]`.
  """

  def __init__(self, features: int):
    self.scale = BinarizerParam(jnp.ones((features,), jnp.float32))

  def __call__(self, x: jax.Array, mode: Mode) -> jax.Array:
    """The factor, broadcast against the output."""
    del x, mode
    return self.scale[...]


def parse(name: str | None, features: int):
  """Builds the output scale of a layer; `None` for none.

  Raises:
    ValueError: unknown name.
  """
  return None if name is None else registry.get("output", name)(features)
