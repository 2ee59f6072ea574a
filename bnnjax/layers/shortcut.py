"""Shortcuts around units, and the blocks that add or concatenate them."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.progress import Mode
from bnnjax.layers.activations import Function, identity
from bnnjax.layers.blocks import LayerDefaults, Unit
from bnnjax.layers.pool import Pool


class PadShortcut(nnx.Module):
  """Every `strides`-th pixel, missing channels padded with zeros (option A).

  Deep Residual Learning, He et al. 2016, sec. 4.2 (CIFAR-10).

  Args:
    in_features, out_features: channels.
    strides: of the subsampling.
    pooled: whether each `strides x strides` square becomes its mean instead, as
      in the released code of ReCU and BiPer.
  """

  def __init__(
    self,
    in_features: int,
    out_features: int,
    strides: int,
    *,
    pooled: bool = False,
  ):
    self.missing, self.strides = out_features - in_features, strides
    self.pool = Pool("avg", strides, strides) if pooled else None

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[N, H, W, in_features] -> [N, H / strides, W / strides, out_features]`."""
    del mode
    if self.pool is None:
      x = x[:, :: self.strides, :: self.strides]
    else:
      x = self.pool(x)
    low = self.missing // 2
    return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (low, self.missing - low)))


SHORTCUTS = ("conv", "pool_conv", "pad", "pool_pad")


def shortcut(
  kind: str,
  in_features: int,
  out_features: int,
  strides: int,
  *,
  defaults: LayerDefaults,
  rngs: nnx.Rngs,
) -> nnx.Module:
  """The shortcut of a block; the identity if the block keeps the shape.

  Args:
    kind: for a change of shape: `"conv"` (strided 1x1 convolution, norm),
      `"pool_conv"` (average pool, 1x1 convolution, norm; the pool alone if only
      the size changes), `"pad"` or `"pool_pad"`, see `PadShortcut`.
    in_features, out_features, strides: of the block.
    defaults: binarizers of the 1x1 convolution.
    rngs: random numbers.

  Raises:
    ValueError: unknown kind.
  """
  if kind not in SHORTCUTS:
    raise registry.unknown("shortcut", kind, SHORTCUTS)
  if in_features == out_features and strides == 1:
    return Function(identity)
  if kind in ("pad", "pool_pad"):
    pooled = kind == "pool_pad"
    return PadShortcut(in_features, out_features, strides, pooled=pooled)
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
    defaults=defaults,
    rngs=rngs,
  )


def reshape_add(r: jax.Array, y: jax.Array, *, tile: bool = False) -> jax.Array:
  """Adds a shortcut of any shape, without parameters.

  Reshape-Add (PokeBNN, 2112.00133, sec. 3.2). Channels come first: too many are
  averaged in consecutive groups (a remainder is dropped); too few are padded
  with zeros, or tiled. If sizes still differ, a 3x3 average pool of stride 2
  follows, whose average includes the padding.

  Args:
    r: shortcut `[N, H, W, C]`.
    y: main branch `[N, H', W', C']`.
    tile: whether missing channels repeat the others (long shortcut) instead of
      being zero (local shortcut).

  Returns:
    `[N, H', W', C']`.

  Raises:
    ValueError: tiling does not fill the channels, or pooling does not result in
      the size of `y`.
  """
  have, want = r.shape[-1], y.shape[-1]
  if have > want:
    with jax.named_scope("reshape_add/shrink"):
      group = have // want
      r = r[..., : want * group].reshape(*r.shape[:-1], want, group)
      r = jnp.mean(r, axis=-1)
  elif tile and have < want:
    if want % have:
      raise ValueError(
        f"The long shortcut tiles {have} channels, which cannot fill {want}."
      )
    r = jnp.tile(r, (1, 1, 1, want // have))
  elif have < want:
    r = jnp.pad(r, ((0, 0), (0, 0), (0, 0), (0, want - have)))
  if r.shape != y.shape:
    with jax.named_scope("reshape_add/pool"):
      r = nnx.avg_pool(r, (3, 3), strides=(2, 2), padding="SAME")
  if r.shape != y.shape:
    raise ValueError(
      f"Reshape-Add reaches the same size or half of it: got shortcut {r.shape}"
      f" for {y.shape}."
    )
  with jax.named_scope("reshape_add/block" if tile else "reshape_add/local"):
    return y + r


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
