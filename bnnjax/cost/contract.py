"""Dot products and convolutions: how many MACs, and of which widths."""

import dataclasses
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from bnnjax.core.bits import BitTag
from bnnjax.cost.values import Dims, Value, bits_text, dtype_bits


@dataclasses.dataclass(frozen=True)
class Contraction:
  """One equation that multiplies and accumulates.

  Attributes:
    op: `"dot"` or `"conv"`.
    macs: multiply-accumulates of one execution, all operands dense.
    length: how many products one output element sums.
    contracted: for each operand, the axes that are summed over, mapped to the
      run length that a factor must be a multiple of to leave the sum (0: none
      is long enough).
    summed: for each operand, its elements per row of the packed matrix.
    batch: products of one sum each that are computed beside each other, as
      groups with scales of their own are.
  """

  op: str
  macs: int
  length: int
  contracted: tuple[Dims, Dims]
  summed: tuple[int, int]
  batch: int = 1

  def row(self, i: int, v: Value) -> int:
    """Elements of a packed row of operand `i`: of all groups of a row."""
    group = min((t.group for t in v.terms), default=0)
    whole = group == self.summed[i] > 1
    return self.summed[i] * (self.batch if whole else 1)


def dot(eqn: Any) -> Contraction:
  """`dot_general`: batch x left x right x contracted."""
  (lc, rc), (lb, rb) = eqn.params["dimension_numbers"]
  left, right = (v.aval.shape for v in eqn.invars[:2])
  length = math.prod(left[d] for d in lc)
  free = math.prod(n for d, n in enumerate(right) if d not in (*rc, *rb))
  macs = math.prod(left) * free
  contracted = (dict.fromkeys(lc, 0), dict.fromkeys(rc, 0))
  batch = math.prod(left[d] for d in lb)
  return Contraction("dot", macs, length, contracted, (length,) * 2, batch)


def conv(eqn: Any) -> Contraction:
  """`conv_general_dilated`.

  MACs = batch_out * c_out * (c_in / groups) * prod over spatial axes of
  min(pairs, inputs * taps), where `pairs` are the (output position o, kernel
  tap k) that do not fall on a zero inserted by `lhs_dilation` l: position

    p = o * stride + k * rhs_dilation - padding_low

  falls on one if it lies between two inputs, 0 <= p <= (inputs - 1) * l, and
  l does not divide it. Padding is work: without dilation every pair counts,
  which is `out_h * out_w * kh * kw`. But an input meets every tap once at
  most, and pairs beyond that bound are not counted; it is reached where
  outputs outnumber inputs. A transposed convolution, SAME or VALID, therefore
  costs inputs * taps, and the input gradient of a convolution what its forward
  pass costs.
  """
  params = eqn.params
  numbers = params["dimension_numbers"]
  left, right = (v.aval.shape for v in eqn.invars[:2])
  out = eqn.outvars[0].aval.shape
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
  return Contraction(
    "conv", outer * c_in * pairs, length, (left_dims, right_dims), (length,) * 2
  )


def _pairs(inputs, out, taps, stride, dilation, low, lhs_dilation) -> int:
  """Pairs along one spatial axis, as `conv` defines them."""
  bound = inputs * taps
  if lhs_dilation == 1:
    return min(out * taps, bound)
  o = np.arange(out)[:, None] * stride
  p = o + np.arange(taps)[None] * dilation - low
  inside = (p >= 0) & (p <= (inputs - 1) * lhs_dilation)
  inserted = inside & (p % lhs_dilation != 0)
  return min(int(np.count_nonzero(~inserted)), bound)


def zero_padded(eqn: Any) -> bool:
  """Whether a convolution pads with zeros.

  Around spread inputs, as between them, they are no operands: see `conv`.
  """
  if any(n > 1 for n in eqn.params["lhs_dilation"]):
    return False
  return any(lo > 0 or hi > 0 for lo, hi in eqn.params["padding"])


def _stuck(dims: Dims, contracted: Dims, terms: Sequence[BitTag]) -> bool:
  """Whether a factor varying along `dims` is caught inside the sum."""
  group = min((t.group for t in terms), default=0)
  for d, run in dims.items():
    if d not in contracted:
      continue
    free = contracted[d]
    if free and run % free == 0:
      continue
    if group and run % group == 0:
      continue
    return True
  return False


def _grouped(v: Value, contracted: Dims) -> int:
  """Group size, if factors or shifts of the value use it."""
  used = any(d in contracted for d in (*v.factor, *v.shift))
  return min((t.group for t in v.terms), default=0) if used else 0


@dataclasses.dataclass(frozen=True)
class Operand:
  """One side of a contraction after its factors found their place."""

  value: Value
  terms: tuple[BitTag, ...]
  remarks: tuple[str, ...] = ()


def operands(
  eqn: Any, ins: Sequence[Value], what: Contraction, weight: int
) -> tuple[Operand, Operand]:
  """Widths of both operands, in their order in the equation.

  A factor along the contracted axis moves to the other operand, which then is
  a real tensor, or makes its own operand real where that costs less; when both
  have one, the product of the two belongs to the activation. A shift along it
  makes its own operand real.
  """
  terms, remarks = [], ([], [])
  sides = ("weight" if i == weight else "activation" for i in (0, 1))
  sides = tuple(sides)
  wide = [
    BitTag(dtype_bits(v.aval.dtype)) for v in eqn.invars[:2]
  ]  # untagged: the dtype's width
  stuck = [
    bool(v.terms) and _stuck(v.factor, dims, v.terms)
    for v, dims in zip(ins, what.contracted)
  ]
  if all(stuck):
    stuck[1 - weight] = False
  real = [_takes_factor(i, stuck, ins, wide) for i in (0, 1)]
  for i, (v, dims) in enumerate(zip(ins, what.contracted)):
    mine = v.terms or (wide[i],)
    if v.lost and not v.terms:
      remarks[i].append(
        f"{sides[i]}: {v.lost}; counted as {wide[i].bits}-bit."
        " Tag the value again."
      )
    if v.terms and _stuck(v.shift, dims, v.terms):
      mine = (wide[i],)
      remarks[i].append(
        f"{sides[i]}: a float summand varies along the contracted axis;"
        f" counted as {wide[i].bits}-bit, not {bits_text(v.terms)}."
      )
    if real[i] and v.terms:
      mine = (wide[i],)
      whose = "itself" if stuck[i] else f"the {sides[1 - i]}"
      moves = "stays" if stuck[i] else "moves"
      remarks[i].append(
        f"{sides[i]}: a float factor of {whose} varies along the contracted"
        f" axis, cannot leave the sum and {moves} here; counted as"
        f" {wide[i].bits}-bit, not {bits_text(v.terms)}."
      )
    terms.append(mine)
  return tuple(Operand(v, t, tuple(r)) for v, t, r in zip(ins, terms, remarks))


def _takes_factor(
  i: int, stuck: Sequence[bool], ins: Sequence[Value], wide: Sequence[BitTag]
) -> bool:
  """Whether operand `i` becomes real by a factor of either operand.

  A factor of w8 (or of a8) beside one of 1 bit: 1 x 16 costs less than 16 x 8.
  """
  owner = 0 if stuck[0] else 1
  if not any(stuck):
    return False
  cost = []
  for j in (0, 1):
    others = ins[1 - j].terms or (wide[1 - j],)
    cost.append(min(wide[j].bits, 16) * sum(min(t.bits, 16) for t in others))
  taker = owner if cost[owner] < cost[1 - owner] else 1 - owner
  return i == taker


def notes(ins: Sequence[Value], what: Contraction) -> list[str]:
  """Declared groups that split the sum."""
  out = []
  for v, dims in zip(ins, what.contracted):
    group = _grouped(v, dims)
    if group:
      out.append(
        f"a float varies per group of {group} along the contracted axis; the"
        " tag declares it and keeps its bits."
      )
  return out


def weight_side(ins: Sequence[Value]) -> int:
  """Index of the operand in the weight's place.

  The tag's role decides; without one, the operand that comes from parameters
  alone; else the right operand.
  """
  left, right = ins[0].role, ins[1].role
  if left != right:
    if left == "weight" or right == "act":
      return 0
    if right == "weight" or left == "act":
      return 1
  descends = [v.static and bool(v.lineage) for v in ins]
  return 0 if descends == [True, False] else 1


def multiplied(macs: int, *terms: BitTag) -> int:
  """MACs that are left at the densities of the terms, rounded up."""
  exact = Fraction(macs)
  for t in terms:
    exact *= t.density
  return math.ceil(exact)
