"""A transposed convolution whose operands may be low-bit."""

from collections.abc import Sequence
from typing import Unpack

import jax
from flax import nnx

from bnnjax.core import conv_transpose
from bnnjax.core.progress import Mode
from bnnjax.layers.checks import check_array
from bnnjax.layers.contraction import Windowed, WindowOptions
from bnnjax.layers.output_scale import SpatialL1


class ConvTranspose(Windowed):
  """Transposed convolution, channels last, any number of spatial axes.

  Same values as `nnx.ConvTranspose`. There is no `pad_value`: the zeros around
  and between inputs are never multiplied, so that a {-1, +1} map stays binary.

  Args:
    in_features, out_features: channels before and after.
    kernel_size: window; its length is the number of spatial axes.
    strides: outputs between neighboring inputs; one number for all spatial
      axes, or one per axis.
    padding: `"SAME"` (strides times as many outputs as inputs), `"VALID"`
      (every output that an input reaches), or as in `Conv` zeros around the
      spread inputs (as in flax and jax, not torch); negative numbers crop.
    dilation: of the window; one number for all spatial axes, or one per axis.
    groups: feature groups.
    transpose_kernel: whether the window is flipped, as in the gradient of a
      convolution. The kernel stays `[..., in, out]`, as binarizers expect it
      (flax stores it as `[..., out, in]` then).
    rngs: random numbers; the key `params` is used.
    **options: `weight=`, `act=` and the other keywords of `Options`.

  Attributes:
    kernel: `[*kernel_size, in_features / groups, out_features]`; `None` where
      `weight` holds the weight itself.

  Raises:
    ValueError: unknown spec, incompatible sizes, the output scale `spatial_l1`,
      or an input with the wrong rank or number of channels.
  """

  why_no_rows = "it is a transposed convolution"

  def __init__(
    self,
    in_features: int,
    out_features: int,
    kernel_size: int | Sequence[int],
    *,
    transpose_kernel: bool = False,
    rngs: nnx.Rngs,
    **options: Unpack[WindowOptions],
  ):
    super().__init__(
      in_features, out_features, kernel_size, rngs=rngs, **options
    )
    self.transpose_kernel = bool(transpose_kernel)
    if isinstance(self.output, SpatialL1):
      raise ValueError(
        "The output scale 'spatial_l1' is the mean over the window of a"
        " convolution, and no paper has one for a transposed convolution:"
        " leave out `output`, or give 'channel' or 'rank1'."
      )

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[N, *spatial, in_features] -> [N, *spatial', out_features]`."""
    self._check(x, len(self.window) + 2)
    places = (n * s for n, s in zip(x.shape[1:-1], self.strides))
    check_array(
      "The map of ConvTranspose", (len(x), *places, self.out_features)
    )
    x, factor = self._prepared(x, mode)
    a, w, differs = self._operands(x, mode)
    y = conv_transpose.conv_transpose(
      a,
      w,
      strides=self.strides,
      padding=self.padding,
      dilation=self.dilation,
      groups=self.groups,
      flip=self.transpose_kernel,
      precision=self.precision,
    )
    return self._finish(y, x, mode, differs, factor)
