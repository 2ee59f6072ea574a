"""Products of packed bits: `population_count` of an xor or an and of words.

A word of 32 bits holds 32 signs, its exclusive or with another word holds 32
products, and the population count sums them: 32 MACs of 1x1 bit a word, however
the words are summed afterwards. Whatever else is done to bits is no arithmetic.

Example: `population_count(x[:, None] ^ w)` of `x` (2, 3) and `w` (5, 3) in
32-bit words, summed over the last axis, is one row of `2 * 5 * 96` MACs with 96
products per output.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import jax.numpy as jnp

from bnnjax.cost import arithmetic, equations, expressions, storage
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
  """The row of the report that a count of products was written to."""
  return v.words.row if v.words else None


def converted(eqn: Any, v: AbstractValue) -> Words | None:
  """Words behind a change of dtype: a widened word keeps its bits."""
  old, new = eqn.invars[0], eqn.outvars[0]
  if _row(v):
    return v.words
  if not is_words(old) or not is_words(new):
    return None
  words = v.words or Words()
  narrow = words.bits or dtype_bits(old.aval.dtype)
  wide = dtype_bits(new.aval.dtype)
  return replace(words, bits=narrow if narrow < wide else 0)


def bitcast(
  interpreter: Any, eqn: Any, ins: Sequence[AbstractValue], scope: str
) -> list[AbstractValue]:
  """`bitcast_convert_type`: a row of bits stays one."""
  (out,) = arithmetic.unknown(interpreter, eqn, ins, scope)
  return [replace(out, words=_recast(eqn, ins[0]))]


def _recast(eqn: Any, v: AbstractValue) -> Words | None:
  """Words read at another length: the same bits in total."""
  if not v.words or not is_words(eqn.invars[0]) or not is_words(eqn.outvars[0]):
    return None
  return None if v.words.bits else v.words


def bitwise(
  interpreter: Any, eqn: Any, ins: Sequence[AbstractValue], scope: str
) -> list[AbstractValue]:
  """`and`, `or`, `xor`, `not` and shifts: of integers they are of words."""
  if not is_words(eqn.outvars[0]):
    return arithmetic.result(interpreter, eqn, ins, scope)
  name = eqn.primitive.name
  bare = [replace(arithmetic.drop(v, name), lost="") for v in ins]
  out = arithmetic.combine(name, bare, eqn.outvars[0].aval.shape)
  data = [v for v in ins if v.const is None]
  known = [v.words or Words() for v in data]
  if not known or (name.startswith("shift") and len(known) == 2):
    return [out]
  words = known[0]
  if len(known) == 2:
    words = Words(
      bits=min((w.bits for w in known if w.bits), default=0),
      fill=min((w.fill for w in known if w.fill is not None), default=None),
      product=any(w.product for w in known) or name != "or",
      kernels=merged(*map(_kernels, data)),
    )
  mask = next((v.const for v in ins if v.const is not None), None)
  if name == "and" and mask is not None and 0 <= mask < 2**53:
    width = words.bits or dtype_bits(eqn.outvars[0].aval.dtype)
    words = replace(words, bits=min(width, int(mask).bit_count()))
  return [replace(out, words=words)]


def _kernels(v: AbstractValue) -> tuple[Source, ...]:
  """Parameters among the factors of a word."""
  mine = v.words.kernels if v.words else ()
  return merged(mine, v.lineage if v.static else ())


def population_count(
  interpreter: Any, eqn: Any, ins: Sequence[AbstractValue], scope: str
) -> list[AbstractValue]:
  """Writes down the MACs of a word's products, where its bits are products."""
  words, shape = ins[0].words, tuple(eqn.outvars[0].aval.shape)
  bare = replace(ins[0], lost="")
  out = arithmetic.combine("population_count", [bare], shape)
  if words is None or not words.product:
    return [replace(out, words=None)]
  width = words.bits or dtype_bits(eqn.invars[0].aval.dtype)
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
    interpreter.ledger.uses.append(use)
  place = equations.place(scope, names)
  row = Row(
    path=place,
    scope=scope,
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
  interpreter.ledger.rows.append(row)
  if words.fill is None:
    interpreter.ledger.note(place, NOTE)
  return [replace(out, words=Words(row=row, summed=each))]


def reduce_sum(
  interpreter: Any, eqn: Any, ins: Sequence[AbstractValue], scope: str
) -> list[AbstractValue]:
  """A sum of population counts lengthens the row that they wrote."""
  (out,) = arithmetic.unknown(interpreter, eqn, ins, scope)
  rows, row = interpreter.ledger.rows, _row(ins[0])
  count = math.prod(eqn.invars[0].aval.shape[d] for d in eqn.params["axes"])
  at = [i for i, r in enumerate(rows) if r is row]
  if not at or count == 0:
    return [out]
  total = ins[0].words.summed * count
  longer = replace(row, length=math.ceil(total))
  rows[at[-1]] = longer
  return [replace(out, words=Words(row=longer, summed=total))]


def is_sum(ins: Sequence[AbstractValue]) -> bool:
  """Whether a dot only sums counts: the other operand is all ones."""
  for v, other in (ins, ins[::-1]):
    if _row(v):
      ones = expressions.evaluate(other)
      return other.const == 1 or (ones is not None and bool((ones == 1).all()))
  return False
