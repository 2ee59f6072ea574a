"""The transposed convolution whose operands may be low-bit."""

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

  Values are those of `nnx.ConvTranspose`. It has no `pad_value`: what lies
  around and between the inputs adds nothing, and a {-1, +1} map stays one.

  Args:
    in_features, out_features: channels before and after.
    kernel_size: window; its length is the number of spatial axes.
    strides: how many outputs an input moves on; one number for all spatial
      axes, or one each.
    padding: `"SAME"` (strides times the inputs), `"VALID"` (all that an input
      reaches), or as of `Conv` zeros around the spread inputs (as in flax and
      jax, not torch); negative numbers crop.
    dilation: of the window; one number, or one each.
    groups: feature groups.
    transpose_kernel: the window runs backwards, as in the gradient of a
      convolution. The kernel is `[..., in, out]` all the same, as binarizers
      read it (that of flax is `[..., out, in]` then).
    rngs: random numbers; the key `params` is used.
    **options: `weight=`, `act=` and the other keywords of `Options`.

  Attributes:
    kernel: `[*kernel_size, in_features / groups, out_features]`; `None` where
      `weight` holds the weight itself.

  Raises:
    ValueError: unknown spec, sizes that do not fit, the output scale
      `spatial_l1`, an input of another rank or number of channels.
  """

  rowless = "it is a transposed convolution"

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
    a, w, otherwise = self._operands(x, mode)
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
    return self._finish(y, x, mode, otherwise, factor)
