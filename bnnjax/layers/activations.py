"""Activation layers, by name too; those of ReActNet and PokeBNN have variables.

ReActNet: Towards Precise Binary Neural Network with Generalized Activation
Functions, Liu et al., ECCV 2020, arXiv:2003.03488, sec. 4.2.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.arguments import checked
from bnnjax.core.progress import Mode
from bnnjax.core.transform import shifted


class Function(nnx.Module):
  """An elementwise function as a layer.

  Args:
    function: e.g. `jax.nn.relu`.
  """

  def __init__(self, function: Callable[[jax.Array], jax.Array]):
    self.function = function

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """Any shape."""
    del mode
    return self.function(x)


class LearnedShift(nnx.Module):
  """`x + bias`, one bias per channel, initially 0.

  Before a sign this is RSign, whose threshold is `-bias`. In the transform
  `shift` the binarizer owns the bias instead.

  Args:
    features: channels, the last axis.
  """

  @checked
  def __init__(self, features: int):
    self.bias = nnx.Param(jnp.zeros((features,)))

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[..., features] -> [..., features]`."""
    del mode
    return shifted(x, self.bias[...])


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


class DPReLU(nnx.Module):
  """Dynamic PReLU (PokeBNN, 2112.00133, sec. 3.3).

  `u = x - bias_x;  y = (pos u if u >= 0 else neg u) - bias_y`, all four per
  channel. The biases are subtracted, as in the released code.

  Args:
    features: channels, the last axis.
    dtype: of the result; by default that of the input.
    rngs: unused; accepted like in other layers.
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

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[..., features] -> [..., features]`."""
    del mode
    with jax.named_scope("dprelu"):
      u = x - self.bias_x[...]
      slope = jnp.where(u >= 0, self.pos_slope[...], self.neg_slope[...])
      return (slope * u - self.bias_y[...]).astype(self.dtype or x.dtype)


def identity(x: jax.Array) -> jax.Array:
  """`x`."""
  return x


ACTIVATIONS: dict[str, Callable[[int], nnx.Module]] = {
  "identity": lambda features: Function(identity),
  "relu": lambda features: Function(jax.nn.relu),
  "relu6": lambda features: Function(jax.nn.relu6),
  "hardtanh": lambda features: Function(jax.nn.hard_tanh),
  "prelu": PReLU,
  "rprelu": RPReLU,
}


def activation(name: str, features: int) -> nnx.Module:
  """An activation layer by name.

  Raises:
    ValueError: unknown name.
  """
  if name not in ACTIVATIONS:
    raise registry.unknown("activation", name, ACTIVATIONS)
  return ACTIVATIONS[name](features)
