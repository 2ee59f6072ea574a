"""The layers of ReActNet: a learned shift before the sign, and RPReLU.

ReActNet: Towards Precise Binary Neural Network with Generalized Activation
Functions, Liu et al., ECCV 2020, arXiv:2003.03488, sec. 4.2.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core.arguments import checked
from bnnjax.core.progress import Mode


class LearnedShift(nnx.Module):
  """`x + bias`, one bias per channel, 0 at the start.

  In front of a sign this is RSign, whose threshold is `-bias`.

  Args:
    features: channels, the last axis.
  """

  @checked
  def __init__(self, features: int):
    self.bias = nnx.Param(jnp.zeros((features,)))

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[..., features] -> [..., features]`."""
    del mode
    return (x + self.bias[...]).astype(x.dtype)


class PReLU(nnx.Module):
  """`x` where it is positive, else `slope x`, one slope per channel.

  The derivative at 0 is the slope, as in the authors' (torch) code.

  Args:
    features: channels, the last axis.
    slope: initial slope.
  """

  @checked
  def __init__(self, features: int, slope: float = 0.25):
    self.slope = nnx.Param(jnp.full((features,), float(slope)))

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[..., features] -> [..., features]`."""
    del mode
    return jnp.where(x > 0, x, self.slope[...] * x).astype(x.dtype)


class RPReLU(nnx.Module):
  """`prelu(x + shift_in) + shift_out` (eq. 5; the paper's gamma is -shift_in).

  Args:
    features: channels, the last axis.
  """

  @checked
  def __init__(self, features: int):
    self.shift_in = LearnedShift(features)
    self.prelu = PReLU(features)
    self.shift_out = LearnedShift(features)

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[..., features] -> [..., features]`."""
    return self.shift_out(self.prelu(self.shift_in(x, mode), mode), mode)
