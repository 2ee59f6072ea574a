"""Products of packed bits: `population_count` of an xor or an and of words.

A word of 32 bits holds 32 signs, its exclusive or with another word 32
products, and the population count sums them: 32 MACs of 1x1 bit a word, however
the words are summed afterwards. What else becomes of bits is no arithmetic.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import jax.numpy as jnp

from bnnjax.cost import constants, program, rules, storage
from bnnjax.cost.rows import Row, Use
from bnnjax.cost.values import Value, Words, dtype_bits, merged, replace

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


def converted(eqn: Any, v: Value) -> Words | None:
  """Words behind a change of dtype: a widened word has its old bits."""
  old, new = eqn.invars[0], eqn.outvars[0]
  if v.words and v.words.row is not None:
    return v.words
  if not is_words(old) or not is_words(new):
    return None
  words = v.words or Words()
  narrow = words.bits or dtype_bits(old.aval.dtype)
  wide = dtype_bits(new.aval.dtype)
  return replace(words, bits=narrow if narrow < wide else 0)


def recast(eqn: Any, v: Value) -> Words | None:
  """Words read in another length: the same bits in all."""
  if not v.words or not is_words(eqn.invars[0]) or not is_words(eqn.outvars[0]):
    return None
  return None if v.words.bits else v.words


def bitwise(eqn: Any, ins: Sequence[Value]) -> Value:
  """`and`, `or`, `xor`, `not` and shifts of integers."""
  name = eqn.primitive.name
  bare = [replace(rules.drop(v, name), lost="") for v in ins]
  out = rules.elementwise(name, bare, eqn.outvars[0].aval.shape)
  data = [(v, x) for v, x in zip(ins, eqn.invars) if v.const is None]
  known = [v.words or Words() for v, _ in data]
  if not known or (name.startswith("shift") and len(known) == 2):
    return out
  words = known[0]
  if len(known) == 2:
    fills = [w.fill for w in known if w.fill is not None]
    product = any(w.product for w in known) or name != "or"
    bits = [w.bits for w in known if w.bits]
    words = Words(
      bits=min(bits, default=0),
      fill=min(fills, default=None),
      product=product,
      kernels=merged(*(_kernels(v) for v, _ in data)),
    )
  mask = next((v.const for v in ins if v.const is not None), None)
  if name == "and" and mask is not None and 0 <= mask < 2**53:
    width = words.bits or dtype_bits(eqn.outvars[0].aval.dtype)
    words = replace(words, bits=min(width, int(mask).bit_count()))
  return replace(out, words=words)


def _kernels(v: Value) -> tuple[tuple[int, int], ...]:
  mine = v.words.kernels if v.words else ()
  return merged(mine, v.lineage if v.static else ())


def population_count(walker: Any, eqn: Any, v: Value, scope: str) -> Value:
  """Writes down the MACs of a word's products, where its bits are products."""
  out = rules.elementwise("population_count", [replace(v, lost="")],
                          eqn.outvars[0].aval.shape)  # fmt: skip
  words = v.words
  if words is None or not words.product:
    return replace(out, words=None)
  shape = tuple(eqn.outvars[0].aval.shape)
  width = words.bits or dtype_bits(eqn.invars[0].aval.dtype)
  each = Fraction(width) * (1 if words.fill is None else words.fill)
  names = tuple(walker.parameters[i][0] for i, _ in words.kernels)
  place = program.place(scope, names)
  # Words are stored as they are: their width is their dtype's.
  walker.uses.extend(
    Use(
      i,
      "kernel",
      storage.packed(i, walker.words.get(i, width)),
      row=0,
      held=math.ceil(n * each),
    )
    for i, n in words.kernels
  )
  row = Row(
    path=place,
    scope=scope,
    op="dot",
    shapes=(shape, shape, shape),
    macs=walker.times * math.ceil(math.prod(shape) * each),
    w_bits=1,
    a_bits=1,
    length=math.ceil(each),
    times=walker.times,
    parameters=names,
    elements=sum(math.ceil(n * each) for _, n in words.kernels),
  )
  walker.rows.append(row)
  if words.fill is None:
    walker.notes.append((place, NOTE))
  return replace(out, words=Words(row=row, summed=each))


def summed(walker: Any, eqn: Any, v: Value, out: Value) -> Value:
  """A sum of population counts lengthens the row that they wrote."""
  row = v.words.row
  count = math.prod(eqn.invars[0].aval.shape[d] for d in eqn.params["axes"])
  at = [i for i, r in enumerate(walker.rows) if r is row]
  if not at or count == 0:
    return out
  total = v.words.summed * count
  longer = replace(row, length=math.ceil(total))
  walker.rows[at[-1]] = longer
  return replace(out, words=Words(row=longer, summed=total))


def is_sum(ins: Sequence[Value]) -> bool:
  """Whether a dot only sums counts: the other operand is all ones."""
  for v, other in (ins, ins[::-1]):
    if v.words and v.words.row is not None:
      ones = constants.evaluate(other)
      return other.const == 1 or (ones is not None and bool((ones == 1).all()))
  return False
