"""Dot products and convolutions: the widths of their operands, and their rows."""

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

from bnnjax.core import equations
from bnnjax.core.bits import BitTag
from bnnjax.core.equations import Operation
from bnnjax.cost import im2col, macs, popcount, recurrence
from bnnjax.cost.abstract_value import (
  AbstractValue,
  Dims,
  bits_text,
  dtype_bits,
  plain,
)
from bnnjax.cost.ledger import Row
from bnnjax.cost.macs import Contraction

Terms = tuple[BitTag, ...]


def dot(op: Operation) -> AbstractValue:
  """The result of a `dot_general`, whose MACs are written down."""
  return plain(op.shape) if popcount.is_sum(op.ins) else _contracted(op)


def conv(op: Operation) -> AbstractValue:
  """The result of a convolution, whose MACs are written down."""
  return im2col.picked(op) or _contracted(op)


def _contracted(op: Operation) -> AbstractValue:
  """Writes down rows, uses of parameters and remarks of a contraction."""
  interpreter, ledger = op.interpreter, op.interpreter.ledger
  what, weight = macs.of(op), weight_side(op.ins)
  terms, remarks = widths(op, what, weight)
  names: tuple[str, ...] = ()
  for v, shape in zip(op.ins, op.shapes):
    size, row_length = math.prod(shape), what.row_length(v)
    names += interpreter.use(v, size, "kernel", row_length)
  place = equations.place(op.scope, names)
  for remark in remarks:
    ledger.warn(place, f"{what.op}: {remark}")
  for note in notes(op.ins, what):
    ledger.note(place, f"{what.op}: {note}")
  pads_left = what.op == "conv" and macs.zero_padded(op)
  for v, pads in zip(op.ins, (pads_left, False)):
    if v.terms and (v.padded or (pads and v.lacks(0.0))):
      ledger.warn(
        place,
        f"{what.op}: zero padding makes an operand over {alphabet(v)} ternary;"
        f" counted at {v.terms[0].bits} bit all the same.",
      )
  shapes = (*map(tuple, op.shapes), tuple(op.shape))
  # The whole parameter, also where a scan slices it.
  elements = sum(s.size for s in interpreter.stored if s.path in names)
  for w, a in itertools.product(terms[weight], terms[1 - weight]):
    ledger.rows.append(
      Row(
        path=place,
        scope=op.scope,
        op=what.op,
        shapes=shapes,
        macs=interpreter.times * multiplied(what.macs, w, a),
        w_bits=w.bits,
        a_bits=a.bits,
        length=what.length,
        times=interpreter.times,
        parameters=names,
        elements=elements,
        replaced=recurrence.is_replaced(op.scope),
      )
    )
    elements = 0  # once, for the first pair of terms
  return plain(op.shape, static=op.static)


def _is_stuck(dims: Dims, contracted: Dims, terms: Terms) -> bool:
  """Whether a factor varying along `dims` is caught inside the sum.

  Example: of `x @ (w * s)` with `w` of `(64, 8)`, axis 0 of `w` is contracted.
  `s` of `(1, 8)` leaves the sum. `s` of `(64, 1)` is stuck, unless it repeats
  its elements 16 times and the tag of `w` declares `group=16`: then the sum is
  split into 4.
  """
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


def widths(
  op: Operation, what: Contraction, weight: int
) -> tuple[list[Terms], list[str]]:
  """Terms of both operands once their factors are placed, and remarks.

  A factor along the contracted axis moves to the other operand, which becomes
  a real tensor, or makes its own operand real where that costs less. When both
  operands have one, the product of the two belongs to the activation. A shift
  along that axis makes its own operand real.

  Args:
    op: the dot or convolution.
    what: its MACs and contracted axes.
    weight: index of the operand in the weight's place.
  """
  terms: list[Terms] = []
  remarks = []
  # An untagged operand has the width of its dtype.
  wide = [BitTag(dtype_bits(v.aval.dtype)) for v in op.eqn.invars]
  stuck = [
    bool(v.terms) and _is_stuck(v.factor, dims, v.terms)
    for v, dims in zip(op.ins, what.contracted)
  ]
  if all(stuck):
    stuck[1 - weight] = False
  real = _takes_factor(stuck, op.ins, wide) if any(stuck) else None
  for i, (v, dims) in enumerate(zip(op.ins, what.contracted)):
    mine = v.terms or (wide[i],)
    side, other = ("weight", "activation")[:: 1 if i == weight else -1]
    as_wide = f"counted as {wide[i].bits}-bit"
    if v.lost and not v.terms:
      remarks.append(f"{side}: {v.lost}; {as_wide}. Tag the value again.")
    if v.terms and _is_stuck(v.shift, dims, v.terms):
      mine = (wide[i],)
      remarks.append(
        f"{side}: a float summand varies along the contracted axis; {as_wide},"
        f" not {bits_text(v.terms)}."
      )
    if i == real and v.terms:
      mine = (wide[i],)
      whose = "itself" if stuck[i] else f"the {other}"
      goes = "stays" if stuck[i] else "moves"
      remarks.append(
        f"{side}: a float factor of {whose} varies along the contracted axis,"
        f" cannot leave the sum and {goes} here; {as_wide}, not"
        f" {bits_text(v.terms)}."
      )
    terms.append(mine)
  return terms, remarks


def _takes_factor(
  stuck: Sequence[bool], ins: Sequence[AbstractValue], wide: Sequence[BitTag]
) -> int:
  """The operand that the stuck factor makes real.

  Example: a factor of w8 (or of a8) beside an operand of 1 bit: w1a16 costs
  less than w16a8, so the 8-bit operand takes it.
  """
  owner = 0 if stuck[0] else 1
  cost = []
  for j in (0, 1):
    others = ins[1 - j].terms or (wide[1 - j],)
    cost.append(min(wide[j].bits, 16) * sum(min(t.bits, 16) for t in others))
  return owner if cost[owner] < cost[1 - owner] else 1 - owner


def notes(ins: Sequence[AbstractValue], what: Contraction) -> list[str]:
  """Declared groups that split the sum."""
  out = []
  for v, dims in zip(ins, what.contracted):
    group = min((t.group for t in v.terms), default=0)
    if group and any(d in dims for d in (*v.factor, *v.shift)):
      out.append(
        f"a float varies per group of {group} along the contracted axis; the"
        " tag declares it and keeps its bits."
      )
  return out


def weight_side(ins: Sequence[AbstractValue]) -> int:
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


def alphabet(v: AbstractValue) -> str:
  """The values of the first term, as messages show them."""
  symbols = v.terms[0].alphabet or (-1, 1)
  return "{" + ",".join(f"{x:+d}" for x in symbols) + "}"
