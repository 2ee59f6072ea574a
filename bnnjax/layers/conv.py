"""A convolution whose operands may be low-bit."""

from collections.abc import Sequence
from typing import Unpack

import jax
from flax import nnx
from jax import lax

from bnnjax.core import dot_and_conv
from bnnjax.core.progress import Mode
from bnnjax.layers import geometry as geometry_lib
from bnnjax.layers.contraction import Windowed, WindowOptions


class Conv(Windowed):
  """Convolution, channels last, any number of spatial axes.

  Args:
    in_features, out_features: channels before and after.
    kernel_size: window; its length is the number of spatial axes.
    strides, dilation: one number for all spatial axes, or one each.
    padding: `"SAME"`, `"VALID"`, a number of elements on every side, or for
      each axis a number or a pair (as in flax). Negative numbers crop.
    pad_value: 0, -1 or +1, in units of the low-bit values. Other values than 0
      must be in their grid. Zero adds a third value to a {-1, +1} map (most
      papers do that); +1 keeps it binary (QuickNet).
    groups: feature groups.
    rngs: random numbers; the key `params` is used.
    **options: `weight=`, `act=` and the other keywords of `Options`.

  Attributes:
    kernel: `[*kernel_size, in_features / groups, out_features]`.

  Raises:
    ValueError: unknown spec, incompatible sizes, or an input with the wrong
      rank or number of channels.
  """

  def __init__(
    self,
    in_features: int,
    out_features: int,
    kernel_size: int | Sequence[int],
    *,
    pad_value: int = 0,
    rngs: nnx.Rngs,
    **options: Unpack[WindowOptions],
  ):
    super().__init__(
      in_features, out_features, kernel_size, rngs=rngs, **options
    )
    self.pad_value = geometry_lib.check_pad_value(
      pad_value, self.act.binarizer, len(self.window)
    )

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[N, *spatial, in_features] -> [N, *spatial', out_features]`."""
    self._check(x, len(self.window) + 2)
    if not isinstance(self.padding, str) and any(
      n + low + high < 0 for n, (low, high) in zip(x.shape[1:-1], self.padding)
    ):
      raise ValueError(
        f"`padding` {self.padding} crops more than a map of shape {x.shape} has."
      )
    x, factor = self._prepared(x, mode)
    a, w, differs = self._operands(x, mode)
    padding = self.padding
    if self.pad_value:
      a, padding = (
        geometry_lib.pad(a, self._pads(x.shape[1:-1]), self.pad_value),
        "VALID",
      )
    y = dot_and_conv.conv(
      a,
      w,
      strides=self.strides,
      padding=padding,
      dilation=self.dilation,
      groups=self.groups,
      precision=self.precision,
    )
    return self._finish(y, x, mode, differs, factor)

  @property
  def why_no_rows(self) -> str:
    """Why there are no `rows` to collect; empty if there are."""
    if self.groups > 1:
      return f"its {self.groups} groups have a kernel each"
    return f"it pads with {self.pad_value}" if self.pad_value else ""

  def rows(self, x: jax.Array) -> jax.Array:
    """Patches `[N, *spatial', window * C]`, in the order of the kernel's axes."""
    return geometry_lib.patches(x, self.geometry)

  def _pads(self, spatial):
    """(low, high) padding of each spatial axis."""
    if not isinstance(self.padding, str):
      return self.padding
    reach = [(k - 1) * d + 1 for k, d in zip(self.window, self.dilation)]
    return lax.padtype_to_pads(spatial, reach, self.strides, self.padding)
