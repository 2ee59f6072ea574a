"""Scales of a layer's output, rather than of one operand."""

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from bnnjax.core import hyper, registry, spec
from bnnjax.core.progress import Mode
from bnnjax.layers.geometry import Geometry
from bnnjax.layers.variables import BinarizerParam


@registry.register("output", "channel")
class ChannelScale(nnx.Module):
  """One trained factor per output channel, initially 1.

  XNOR-Net++ (Bulat & Tzimiropoulos 2019, 1909.13863), eq. 3, case 1:
  `y * alpha`, `alpha [out_features]`.
  """

  def __init__(self, features: int, geometry: Geometry):
    del geometry
    self.scale = BinarizerParam(jnp.ones((features,), jnp.float32))

  def __call__(self, x: jax.Array, y: jax.Array, mode: Mode) -> jax.Array:
    """The factor of the output `y` of the input `x`."""
    del x, y, mode
    return self.scale[...]


@registry.register("output", "rank1")
class RankOneScale(nnx.Module):
  """Trained factors of channels and of positions along each spatial axis.

  XNOR-Net++ (1909.13863), eq. 6, case 4:
  `Gamma[h, w, c] = alpha[c] beta[h] gamma[w]`, initially 1. A layer without
  spatial axes only has `alpha`.

  Args:
    size: positions along an axis; a smaller map uses the first ones.
  """

  def __init__(
    self, features: int, geometry: Geometry, *, size: hyper.Whole(1) = 64
  ):
    self.scale = BinarizerParam(jnp.ones((features,), jnp.float32))
    self.positions = nnx.List(
      BinarizerParam(jnp.ones((size,), jnp.float32)) for _ in geometry.window
    )

  def __call__(self, x: jax.Array, y: jax.Array, mode: Mode) -> jax.Array:
    """The factor of the output `y [N, *spatial, features]`."""
    del x, mode
    factor = self.scale[...]
    for axis, position in enumerate(self.positions, start=1):
      size, have = y.shape[axis], position.shape[0]
      if size > have:
        raise ValueError(
          f"The output scale 'rank1' has {have} positions, got a map of {size}:"
          f" give `rank1(size={size})`."
        )
      shape = [1] * y.ndim
      shape[axis] = size
      factor = factor * position[...][:size].reshape(shape)
    return factor


@registry.register("output", "spatial_l1")
class SpatialL1(nnx.Module):
  """XNOR-Net's map `K` of input magnitudes (1603.05279, sec. 3.2, eq. 11).

  `K = box(mean_c |x|)`: mean over channels, then over the window of each output
  position, padding counted as zeros. Not differentiated. Without spatial axes:
  the mean magnitude of each token.
  """

  def __init__(self, features: int, geometry: Geometry):
    del features
    self.geometry = geometry

  def __call__(self, x: jax.Array, y: jax.Array, mode: Mode) -> jax.Array:
    """The factor of the output, `[..., 1]`."""
    del y, mode
    a = jnp.mean(jnp.abs(lax.stop_gradient(x)), axis=-1, keepdims=True)
    geometry = self.geometry
    if not geometry.window:
      return a
    padding = geometry.padding
    if not isinstance(padding, str):
      padding = ((0, 0), *padding, (0, 0))
    total = lax.reduce_window(
      a,
      jnp.zeros((), a.dtype),
      lax.add,
      (1, *geometry.window, 1),
      (1, *geometry.strides, 1),
      padding,
      window_dilation=(1, *geometry.dilation, 1),
    )
    return total / math.prod(geometry.window)


def parse(
  text: str | None, features: int, geometry: Geometry | None = None
) -> nnx.Module | None:
  """Builds the output scale of a layer from `"name(k=v)"`; `None` for none.

  Raises:
    ValueError: unknown name or hyper-parameter, or bad syntax.
  """
  if text is None:
    return None
  layer, pairs = spec.part("output", text, text)
  name = spec.name_of(text)
  known = hyper.as_defaults(registry.accepts("output", name))
  given = registry.check_values(f"output {name!r}", known, dict(pairs))
  return layer(features, geometry or Geometry(), **given)
