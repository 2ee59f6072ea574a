"""How many multiply-accumulates a dot product or a convolution makes."""

import dataclasses
import math

import numpy as np

from bnnjax.core.equations import Operation
from bnnjax.cost.abstract_value import AbstractValue, Dims


@dataclasses.dataclass(frozen=True)
class Contraction:
  """One equation that multiplies and accumulates.

  Attributes:
    op: `"dot"` or `"conv"`.
    macs: multiply-accumulates of one execution, all operands dense.
    length: how many products one output element sums, which are the elements
      of one row of a packed operand.
    contracted: for each operand, the axes that are summed over, mapped to the
      run length that a factor must be a multiple of to leave the sum (0: none
      is long enough).
    batch: products of one sum each that are computed beside each other, as
      groups with scales of their own are.
  """

  op: str
  macs: int
  length: int
  contracted: tuple[Dims, Dims]
  batch: int = 1

  def row_length(self, v: AbstractValue) -> int:
    """Elements of a packed row of an operand: of all groups of a row."""
    group = min((t.group for t in v.terms), default=0)
    return self.length * (self.batch if group == self.length > 1 else 1)


def of(op: Operation) -> Contraction:
  """The contraction of a `dot_general` or `conv_general_dilated`."""
  return dot(op) if op.name == "dot_general" else conv(op)


def dot(op: Operation) -> Contraction:
  """`dot_general`: batch x left x right x contracted."""
  (lc, rc), (lb, rb) = op.params["dimension_numbers"]
  left, right = op.shapes
  length = math.prod(left[d] for d in lc)
  free = math.prod(n for d, n in enumerate(right) if d not in (*rc, *rb))
  macs = math.prod(left) * free
  contracted = (dict.fromkeys(lc, 0), dict.fromkeys(rc, 0))
  batch = math.prod(left[d] for d in lb)
  return Contraction("dot", macs, length, contracted, batch)


def conv(op: Operation) -> Contraction:
  """`conv_general_dilated`.

  MACs = batch_out * c_out * (c_in / groups) * prod over spatial axes of
  min(pairs, inputs * taps), where `pairs` are the (output position o, kernel
  tap k) that do not fall on a zero inserted by `lhs_dilation` l: position

    p = o * stride + k * rhs_dilation - padding_low

  falls on one if it lies between two inputs, 0 <= p <= (inputs - 1) * l, and
  l does not divide it. Padding is work: without dilation every pair counts,
  which is `out_h * out_w * kh * kw`. But an input meets every tap at most once,
  and pairs beyond that bound are not counted; it is reached where outputs
  outnumber inputs. A transposed convolution, SAME or VALID, therefore costs
  inputs * taps, and the input gradient of a convolution as much as its forward
  pass.
  """
  params = op.params
  numbers = params["dimension_numbers"]
  left, right = op.shapes
  out = op.shape
  groups = params["feature_group_count"]
  pairs = 1
  for i, d in enumerate(numbers.out_spec[2:]):
    pairs *= _pairs(
      left[numbers.lhs_spec[2 + i]],
      out[d],
      right[numbers.rhs_spec[2 + i]],
      params["window_strides"][i],
      params["rhs_dilation"][i],
      params["padding"][i][0],
      params["lhs_dilation"][i],
    )
  c_in = right[numbers.rhs_spec[1]]
  kernel = [right[d] for d in numbers.rhs_spec[2:]]
  outer = out[numbers.out_spec[0]] * out[numbers.out_spec[1]]
  length = c_in * math.prod(kernel)
  # A factor per group of input channels can leave a grouped convolution.
  feature = left[numbers.lhs_spec[1]] // groups
  left_dims = {numbers.lhs_spec[1]: feature if groups > 1 else 0}
  for d, size in zip(numbers.lhs_spec[2:], kernel):
    if size > 1:
      left_dims[d] = 0
  right_dims = dict.fromkeys(numbers.rhs_spec[1:], 0)
  macs = outer * c_in * pairs
  return Contraction("conv", macs, length, (left_dims, right_dims))


def _pairs(inputs, out, taps, stride, dilation, low, lhs_dilation) -> int:
  """Pairs along one spatial axis, as `conv` defines them.

  Example: 4 inputs, 3 taps, stride 1, padding 1 make `4 * 3` pairs. Spread by
  `lhs_dilation=2` to 8 outputs, 9 of 24 pairs fall on inserted zeros, and the
  bound leaves `4 * 3` of the other 15.
  """
  bound = inputs * taps
  if lhs_dilation == 1:
    return min(out * taps, bound)
  o = np.arange(out)[:, None] * stride
  p = o + np.arange(taps)[None] * dilation - low
  inside = (p >= 0) & (p <= (inputs - 1) * lhs_dilation)
  inserted = inside & (p % lhs_dilation != 0)
  return min(int(np.count_nonzero(~inserted)), bound)


def zero_padded(op: Operation) -> bool:
  """Whether a convolution pads with zeros.

  Zeros around or between the inputs of a transposed convolution are no
  operands: see `conv`.
  """
  if any(n > 1 for n in op.params["lhs_dilation"]):
    return False
  return any(lo > 0 or hi > 0 for lo, hi in op.params["padding"])
