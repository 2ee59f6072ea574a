"""Shortcuts: what goes around a unit, and how the two are joined."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.progress import Mode
from bnnjax.layers.blocks import Body, Function, Unit, identity
from bnnjax.layers.pool import Pool


class PadShortcut(nnx.Module):
  """Every `strides`-th pixel, channels filled up with zeros (option A).

  Deep Residual Learning, He et al. 2016, sec. 4.2 (CIFAR-10).

  Args:
    in_features, out_features: channels.
    strides: of the subsampling.
  """

  def __init__(self, in_features: int, out_features: int, strides: int):
    self.missing, self.strides = out_features - in_features, strides

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[N, H, W, in_features] -> [N, H / strides, W / strides, out_features]`."""
    del mode
    x = x[:, :: self.strides, :: self.strides]
    low = self.missing // 2
    return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (low, self.missing - low)))


SHORTCUTS = ("conv", "pool_conv", "pad")


def shortcut(
  kind: str,
  in_features: int,
  out_features: int,
  strides: int,
  *,
  body: Body,
  rngs: nnx.Rngs,
) -> nnx.Module:
  """The way around a block; the identity where the shapes allow it.

  Args:
    kind: where they do not: `"conv"` (strided 1x1 convolution, norm),
      `"pool_conv"` (average pool, 1x1 convolution, norm) or `"pad"`. A change
      of size alone is an average pool with `"pool_conv"`.
    in_features, out_features, strides: of the block.
    body: binarizers of the 1x1 convolution.
    rngs: random numbers.

  Raises:
    ValueError: unknown kind.
  """
  if kind not in SHORTCUTS:
    raise registry.unknown("shortcut", kind, SHORTCUTS)
  if in_features == out_features and strides == 1:
    return Function(identity)
  if kind == "pad":
    return PadShortcut(in_features, out_features, strides)
  if kind == "pool_conv":
    if in_features == out_features:
      return Pool("avg", strides, strides)
    order = "avg_pool conv norm" if strides > 1 else "conv norm"
    pool, strides = (strides, strides), 1
  else:
    order, pool = "conv norm", (2, 2)
  return Unit(
    order,
    in_features,
    out_features,
    1,
    strides=strides,
    pool=pool,
    body=body,
    rngs=rngs,
  )


class Residual(nnx.Module):
  """`activation(units(x) + shortcut(x))`.

  Args:
    units: layers in sequence.
    shortcut: a layer, see `shortcut`.
    activation: a layer, see `activation`.
  """

  def __init__(
    self,
    units: Sequence[nnx.Module],
    shortcut: nnx.Module,
    activation: nnx.Module,
  ):
    self.units = nnx.List(units)
    self.shortcut, self.activation = shortcut, activation

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[N, H, W, C] -> [N, H', W', C']`."""
    y = x
    for unit in self.units:
      y = unit(y, mode)
    return self.activation(y + self.shortcut(x, mode), mode)


class Concat(nnx.Module):
  """`[x, unit(x)]` along the channels (DenseNet).

  Args:
    unit: a layer that keeps the size of the map.
  """

  def __init__(self, unit: nnx.Module):
    self.unit = unit

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[N, H, W, C] -> [N, H, W, C + growth]`."""
    return jnp.concatenate([x, self.unit(x, mode)], axis=-1)
