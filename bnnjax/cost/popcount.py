"""Products of packed bits: `population_count` of an xor or an and of words.

A word of 32 bits holds 32 signs, its exclusive or with another word holds 32
products, and the population count sums them: 32 MACs of 1x1 bit a word, however
the words are summed afterwards. Other operations on bits are not counted.

Example: `population_count(x[:, None] ^ w)` of `x` (2, 3) and `w` (5, 3) in
32-bit words, summed over the last axis, is one row of `2 * 5 * 96` MACs with 96
products per output.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import jax.numpy as jnp

from bnnjax.core import equations
from bnnjax.core.equations import Operation
from bnnjax.cost import expressions, storage, tag_arithmetic
from bnnjax.cost.abstract_value import (
  AbstractValue,
  Source,
  Words,
  dtype_bits,
  merged,
  replace,
)
from bnnjax.cost.ledger import ParameterUse, Row

BITWISE = frozenset(
  ("and", "or", "xor", "not", "shift_left", "shift_right_logical")
)
NOTE = (
  "popcount: every bit of a word counts; where K is no multiple of the word,"
  " so do the bits that pad it. `tag(words, 1, length=K)` gives the true K."
)


def is_words(v: Any) -> bool:
  """Whether a variable of a jaxpr is an integer of bits."""
  dtype = getattr(v.aval, "dtype", None)
  return dtype is not None and jnp.issubdtype(dtype, jnp.integer)


def _row(v: AbstractValue) -> Row | None:
  """The row of the report that holds these counts of products."""
  return v.words.row if v.words else None


def converted(op: Operation) -> Words | None:
  """Words behind a change of dtype: a widened word keeps its bits."""
  v, old, new = op.ins[0], op.eqn.invars[0], op.eqn.outvars[0]
  if _row(v):
    return v.words
  if not is_words(old) or not is_words(new):
    return None
  words = v.words or Words()
  narrow = words.bits or dtype_bits(old.aval.dtype)
  wide = dtype_bits(new.aval.dtype)
  return replace(words, bits=narrow if narrow < wide else 0)


def bitcast(op: Operation) -> AbstractValue:
  """`bitcast_convert_type`: words of another length have the same bits."""
  (out,) = tag_arithmetic.unknown(op)
  words = op.ins[0].words
  whole = words and not words.bits  # not widened before
  kept = whole and is_words(op.eqn.invars[0]) and is_words(op.eqn.outvars[0])
  return replace(out, words=words if kept else None)


def bitwise(op: Operation) -> AbstractValue:
  """`and`, `or`, `xor`, `not` and shifts: of integers they are of words."""
  if not is_words(op.eqn.outvars[0]):
    return tag_arithmetic.result(op)
  name = op.name
  bare = [replace(tag_arithmetic.drop(v, name), lost="") for v in op.ins]
  out = tag_arithmetic.combine(name, bare, op.shape)
  data = [v for v in op.ins if v.const is None]
  known = [v.words or Words() for v in data]
  if not known or (name.startswith("shift") and len(known) == 2):
    return out
  words = known[0]
  if len(known) == 2:
    words = Words(
      bits=min((w.bits for w in known if w.bits), default=0),
      fill=min((w.fill for w in known if w.fill is not None), default=None),
      product=any(w.product for w in known) or name != "or",
      kernels=merged(*map(_kernels, data)),
    )
  mask = next((v.const for v in op.ins if v.const is not None), None)
  if name == "and" and mask is not None and 0 <= mask < 2**53:
    width = words.bits or dtype_bits(op.eqn.outvars[0].aval.dtype)
    words = replace(words, bits=min(width, int(mask).bit_count()))
  return replace(out, words=words)


def _kernels(v: AbstractValue) -> tuple[Source, ...]:
  """Parameters among the factors of a word."""
  mine = v.words.kernels if v.words else ()
  return merged(mine, v.lineage if v.static else ())


def population_count(op: Operation) -> AbstractValue:
  """Writes down the MACs of a word's products, where its bits are products."""
  interpreter, ledger = op.interpreter, op.interpreter.ledger
  words, shape = op.ins[0].words, tuple(op.shape)
  out = tag_arithmetic.combine(op.name, [replace(op.ins[0], lost="")], shape)
  if words is None or not words.product:
    return replace(out, words=None)
  width = words.bits or dtype_bits(op.eqn.invars[0].aval.dtype)
  each = Fraction(width) * (1 if words.fill is None else words.fill)
  held = [math.ceil(s.elements * each) for s in words.kernels]
  names = []
  for source, n in zip(words.kernels, held):
    stored = interpreter.stored[source.parameter]
    names.append(stored.path)
    # Words are stored as they are: their width is their dtype's.
    own = stored.dtype_bits if stored.words else width
    sites = storage.packed(source.parameter, own)
    use = ParameterUse(source.parameter, "kernel", sites, 0, held=n)
    ledger.uses.append(use)
  place = equations.place(op.scope, names)
  row = Row(
    path=place,
    scope=op.scope,
    op="dot",
    shapes=(shape, shape, shape),
    macs=interpreter.times * math.ceil(math.prod(shape) * each),
    w_bits=1,
    a_bits=1,
    length=math.ceil(each),
    times=interpreter.times,
    parameters=tuple(names),
    elements=sum(held),
  )
  ledger.rows.append(row)
  if words.fill is None:
    ledger.note(place, NOTE)
  return replace(out, words=Words(row=row, summed=each))


def reduce_sum(op: Operation) -> AbstractValue:
  """A sum of population counts lengthens the row that they wrote."""
  (out,) = tag_arithmetic.unknown(op)
  rows, row = op.interpreter.ledger.rows, _row(op.ins[0])
  count = math.prod(op.shapes[0][d] for d in op.params["axes"])
  at = [i for i, r in enumerate(rows) if r is row]
  if not at or count == 0:
    return out
  total = op.ins[0].words.summed * count
  longer = replace(row, length=math.ceil(total))
  rows[at[-1]] = longer
  return replace(out, words=Words(row=longer, summed=total))


def is_sum(ins: Sequence[AbstractValue]) -> bool:
  """Whether a dot only sums counts: the other operand is all ones."""
  for v, other in (ins, ins[::-1]):
    if _row(v):
      ones = expressions.evaluate(other)
      return other.const == 1 or (ones is not None and bool((ones == 1).all()))
  return False
