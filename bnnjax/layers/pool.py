"""Pooling layers, channels last; two spatial axes."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from bnnjax.core import registry
from bnnjax.core.arguments import checked
from bnnjax.core.progress import Mode
from bnnjax.layers.checks import whole


class Pool(nnx.Module):
  """Maximum or average over windows; padding is left out of an average.

  Args:
    kind: `"max"` or `"avg"`.
    window, strides: one number for both axes.
    padding: `"SAME"` or `"VALID"`.

  Raises:
    ValueError: unknown kind or padding.
  """

  @checked
  def __init__(
    self, kind: str, window: int, strides: int, padding: str = "SAME"
  ):
    if kind not in ("max", "avg"):
      raise registry.unknown("pool", kind, ("max", "avg"))
    if padding not in ("SAME", "VALID"):
      raise registry.unknown("padding", padding, ("SAME", "VALID"))
    self.kind, self.padding = kind, padding
    self.window = (whole("window", window),) * 2
    self.strides = (whole("strides", strides),) * 2

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[N, H, W, C] -> [N, H', W', C]`."""
    del mode
    if self.kind == "max":
      return nnx.max_pool(
        x, self.window, strides=self.strides, padding=self.padding
      )
    return nnx.avg_pool(
      x,
      self.window,
      strides=self.strides,
      padding=self.padding,
      count_include_pad=False,
    )


class FixedKernel(nnx.BatchStat):
  """A kernel that is stored but never trained.

  It is a statistic: the optimizer leaves it alone, and `cost` counts it as
  stored.
  """


class BlurPool(nnx.Module):
  """A fixed 3x3 binomial filter on each channel, then subsampling.

  Making Convolutional Networks Shift-Invariant Again, Zhang, ICML 2019,
  arXiv:1904.11486: `outer(k, k) / 16` with `k = [1, 2, 1]`.

  Args:
    features: channels.
    strides: 2 halves the map.
  """

  @checked
  def __init__(self, features: int, strides: int = 2):
    k = np.outer([1, 2, 1], [1, 2, 1]) / 16
    kernel = jnp.asarray(k, jnp.float32)[:, :, None, None]
    self.kernel = FixedKernel(jnp.tile(kernel, (1, 1, 1, features)))
    self.features = whole("features", features)
    self.strides = (whole("strides", strides),) * 2

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[N, H, W, C] -> [N, H / strides, W / strides, C]`, rounded up."""
    del mode
    return lax.conv_general_dilated(
      x,
      self.kernel[...].astype(x.dtype),
      self.strides,
      "SAME",
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
      feature_group_count=self.features,
    )
