"""Activations with trained shifts and slopes."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core.arguments import checked


class DPReLU(nnx.Module):
  """Dynamic PReLU (PokeBNN, 2112.00133, sec. 3.3).

  `u = x - bias_x;  y = (pos u if u >= 0 else neg u) - bias_y`, all four per
  channel. The biases are subtracted, as in the released code.

  Args:
    features: channels, the last axis.
    dtype: of the result; by default that of the input.
    rngs: unused; layers take it.
  """

  @checked
  def __init__(
    self, features: int, *, dtype: Any = None, rngs: nnx.Rngs | None = None
  ):
    del rngs
    self.bias_x = nnx.Param(jnp.zeros((features,)))
    self.bias_y = nnx.Param(jnp.zeros((features,)))
    self.neg_slope = nnx.Param(jnp.full((features,), 0.25))
    self.pos_slope = nnx.Param(jnp.ones((features,)))
    self.dtype = dtype

  def __call__(self, x: jax.Array) -> jax.Array:
    """`[..., features] -> [..., features]`."""
    with jax.named_scope("dprelu"):
      u = x - self.bias_x[...]
      slope = jnp.where(u >= 0, self.pos_slope[...], self.neg_slope[...])
      return (slope * u - self.bias_y[...]).astype(self.dtype or x.dtype)
