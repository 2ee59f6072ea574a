"""Transposed convolution of low-bit operands."""

from collections.abc import Sequence

import jax
from jax import lax

from bnnjax.core.bilinear import Conv
from bnnjax.core.dot_and_conv import contract
from bnnjax.core.quantized import Quantized

Pads = tuple[tuple[int, int], ...]


def conv_transpose(
  a: "jax.Array | Quantized",
  w: "jax.Array | Quantized",
  *,
  strides: Sequence[int] | None = None,
  padding: str | Sequence[tuple[int, int]] = "SAME",
  dilation: Sequence[int] | None = None,
  groups: int = 1,
  flip: bool = False,
  precision: lax.PrecisionLike = None,
) -> jax.Array:
  """`lax.conv_transpose` of low-bit or float operands, channels last.

  Per axis, with stride `s`, dilation `d`, low padding `p` and a window of `K`,

    y[o] = sum of x[i] w[k]   over all  i s = o + k d - p,

  that is `inputs x taps` products: nothing is added for the zeros between
  inputs and at the border, whatever the alphabet of `a`.

  Args:
    a: `[N, *spatial, C]`.
    w: `[*window, C / groups, O]`.
    strides, dilation: one number per spatial axis; ones by default.
    padding: `"SAME"` (`s` outputs per input), `"VALID"` (all outputs that an
      input reaches), or pairs of zeros around the spread inputs; negative
      numbers crop.
    groups: feature groups.
    flip: reverses the window, as in the gradient of a convolution.
    precision: as in `jax.lax.conv_general_dilated`.

  Returns:
    `[N, *spatial', O]`, dtype as for `dot_and_conv.dot`.

  Raises:
    ValueError: a padding that crops all inputs.
  """
  window, spatial = w.shape[:-2], a.shape[1:-1]
  ones = (1,) * len(window)
  strides, dilation = tuple(strides or ones), tuple(dilation or ones)
  pads = to_pads(window, strides, padding, dilation)
  for n, s, pair in zip(spatial, strides, pads):
    if sum(max(-(p // s), 0) for p in pair) >= n:
      raise ValueError(
        f"`padding` {padding} crops all inputs of a map of shape {a.shape} at"
        f" strides {strides}."
      )
  op = Conv(ones, pads, dilation, groups, precision, strides, flip)
  return contract(op, a, w)


def to_pads(
  window: Sequence[int],
  strides: Sequence[int],
  padding: str | Sequence[tuple[int, int]],
  dilation: Sequence[int],
) -> Pads:
  """Pairs of zeros around the spread inputs, as in `lax.conv_transpose`."""
  if not isinstance(padding, str):
    return tuple(tuple(pair) for pair in padding)
  pads = []
  for k, s, d in zip(window, strides, dilation):
    reach = (k - 1) * d  # beyond the first tap
    if padding == "VALID":
      pads.append((reach, max(reach, s - 1)))
    else:
      total = reach + s - 1
      low = reach if s > reach else -(-total // 2)
      pads.append((low, total - low))
  return tuple(pads)
