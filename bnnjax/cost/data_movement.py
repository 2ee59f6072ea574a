"""Values through primitives that move, pick, copy or join elements."""

import functools
import math
from collections.abc import Sequence

from bnnjax.core.equations import Operation
from bnnjax.cost import axes, popcount, tag_arithmetic
from bnnjax.cost.abstract_value import (
  AbstractValue,
  depending_on,
  everywhere,
  join_words,
  plain,
  replace,
  union,
  with_both_tags,
  with_tag,
)


def moved(op: Operation) -> AbstractValue:
  """The result of a primitive of `axes.KEEP`."""
  v, old, static = op.ins[0], op.shapes[0], op.static
  out = replace(v.moved(axes.KEEP[op.name](op)), static=static)
  if op.name in ("gather", "dynamic_slice") and v.static and not static:
    row_length = math.prod(old[-1:])
    op.interpreter.use(v, math.prod(old), "embedding", row_length)
  if op.name.startswith("reduce_"):
    return replace(out, lineage=(), affine=None, expression_id=0)
  out = _with_share(out, old, op.shape)
  if op.name == "convert_element_type":
    out = replace(out, words=popcount.converted(op))
  lineage = out.lineage if static else ()
  affine = out.affine if old == op.shape else None
  return replace(out, lineage=lineage, affine=affine)


def parts(op: Operation) -> list[AbstractValue]:
  """The results of `split` or `unstack`."""
  out = []
  for new in (v.aval.shape for v in op.eqn.outvars):
    v = op.ins[0].moved(axes.parts(op, new))
    out.append(_with_share(v, op.shapes[0], new))
  return out


def _with_share(
  v: AbstractValue, old: Sequence[int], new: Sequence[int]
) -> AbstractValue:
  """A slice of a parameter stands for a share of its elements."""
  a, b = math.prod(old), math.prod(new)
  if b >= a:
    return v
  kept = tuple(
    s._replace(elements=b) if s.elements == a else s for s in v.lineage
  )
  return replace(v, lineage=kept)


def select(op: Operation) -> AbstractValue:
  """`select_n`: keeps a tag that all cases carry."""
  return _selected(*op.ins)


def update_slice(op: Operation) -> AbstractValue:
  """`dynamic_update_slice`: each element is of the array or of the update."""
  return _selected(plain(()), *op.ins[:2])


def _selected(which: AbstractValue, *cases: AbstractValue) -> AbstractValue:
  const = cases[0].const if len({v.const for v in cases}) == 1 else None
  base = depending_on(which, *cases, const=const)
  why = "chosen beside an untagged value"
  return _side_by_side(cases, base, which.vary, why)


def concatenate(op: Operation) -> AbstractValue:
  """`concatenate` and `stack`: keeps a tag that all parts carry."""
  d = op.params.get("dimension", op.params.get("axis"))
  if op.name == "stack":
    ins, run = [v.moved(axes.inserted(d)) for v in op.ins], 1
  else:
    ins, run = op.ins, math.gcd(*(shape[d] for shape in op.shapes))
  long = op.shape[d] != 1
  base = depending_on(*ins)
  base = replace(base, vary=union(base.vary, {d: 1} if long else {}))
  along = {d: run} if long and len(ins) > 1 else {}
  return _side_by_side(ins, base, along, "concatenated with another width")


def _side_by_side(
  cases: Sequence[AbstractValue], base: AbstractValue, apart, why: str
) -> AbstractValue:
  """One value of several, each of which fills a part of it.

  Scales of different cases are one scale that varies along the axes `apart`,
  which tell the cases from each other. Example: two 1-bit arrays of 4 rows with
  a scalar scale each, concatenated, have one scale with `factor = {0: 4}`.
  """
  base = replace(
    base,
    lost=next((v.lost for v in cases if v.lost), ""),
    words=functools.reduce(join_words, (v.words for v in cases)),
  )
  tagged = [v for v in cases if v.terms]
  if not tagged:
    return base
  if len({v.terms for v in cases}) > 1:
    return tag_arithmetic.losing_tag(base, tagged[0], why)
  out = cases[0]
  for v in cases[1:]:
    out = with_both_tags(base, out, v, terms=v.terms)
  symbols = [v.symbols for v in cases]
  known = all(symbols) and not any(
    v.known_up_to_factor and v.shifted for v in cases
  )
  return with_tag(
    base,
    out,
    factor=union(out.factor, apart) if out.scaled else out.factor,
    shift=union(out.shift, apart) if out.shifted else out.shift,
    symbols=tuple(sorted({x for v in symbols for x in v})) if known else None,
    known_up_to_factor=any(v.known_up_to_factor for v in cases),
  )


def pad(op: Operation) -> AbstractValue:
  """Padding with zero keeps the bits, and is noted where 0 is no symbol."""
  v, filler = op.ins
  config = op.params["padding_config"]
  v = v.moved(axes.resized(op.shapes[0], op.shape))
  if not any(lo > 0 or hi > 0 or mid for lo, hi, mid in config):
    return v
  out = replace(v, vary=everywhere(op.shape), const=None, static=op.static)
  if not v.terms:
    return out
  if filler.const is None:
    return tag_arithmetic.drop(out, "padded with an unknown value")
  missing = v.lacks(filler.const)
  if filler.const != 0 and missing:
    return tag_arithmetic.drop(out, f"padded with {filler.const:g}")
  return replace(out, padded=v.padded or missing)
