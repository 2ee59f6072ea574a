"""Values through primitives that move, pick, copy or join elements."""

import functools
import math
from collections.abc import Sequence
from typing import Any

from bnnjax.cost import arithmetic, axes, popcount
from bnnjax.cost.abstract_value import (
  AbstractValue,
  everywhere,
  join_words,
  lineages,
  plain,
  replace,
  union,
  with_both_tags,
  with_tag,
)


def moved(
  interpreter: Any, eqn: Any, ins: Sequence[AbstractValue], scope: str
) -> list[AbstractValue]:
  """The result of a primitive of `axes.KEEP`."""
  del scope
  name = eqn.primitive.name
  old, new = (v.aval.shape for v in (eqn.invars[0], eqn.outvars[0]))
  out = ins[0].moved(axes.KEEP[name](eqn))
  static = all(v.static for v in ins)
  if name in ("gather", "dynamic_slice") and out.static and not static:
    interpreter.use(ins[0], math.prod(old), "embedding", math.prod(old[-1:]))
  if name.startswith("reduce_"):
    return [
      replace(out, static=static, lineage=(), affine=None, expression_id=0)
    ]
  out = _with_share(out, old, new)
  if name == "convert_element_type":
    out = replace(out, words=popcount.converted(eqn, ins[0]))
  return [
    replace(
      out,
      static=static,
      lineage=out.lineage if static else (),
      affine=out.affine if old == new else None,
    )
  ]


def parts(
  interpreter: Any, eqn: Any, ins: Sequence[AbstractValue], scope: str
) -> list[AbstractValue]:
  """The results of `split` or `unstack`."""
  del interpreter, scope
  old = eqn.invars[0].aval.shape
  shapes = [v.aval.shape for v in eqn.outvars]
  return [
    _with_share(ins[0].moved(axes.parts(eqn, new)), old, new) for new in shapes
  ]


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


def select(
  interpreter: Any, eqn: Any, ins: Sequence[AbstractValue], scope: str
) -> list[AbstractValue]:
  """`select_n`: keeps a tag that all cases carry."""
  del interpreter, eqn, scope
  which, *cases = ins
  static = all(v.static for v in ins)
  base = AbstractValue(
    vary=union(*(v.vary for v in ins)),
    static=static,
    lost=next((v.lost for v in cases if v.lost), ""),
    lineage=lineages(*ins) if static else (),
    const=cases[0].const if len({v.const for v in cases}) == 1 else None,
    words=functools.reduce(join_words, (v.words for v in cases)),
  )
  why = "chosen beside an untagged value"
  return [_side_by_side(cases, base, which.vary, why)]


def update_slice(
  interpreter: Any, eqn: Any, ins: Sequence[AbstractValue], scope: str
) -> list[AbstractValue]:
  """`dynamic_update_slice`: each element is of the array or of the update."""
  return select(interpreter, eqn, [plain(()), *ins[:2]], scope)


def concatenate(
  interpreter: Any, eqn: Any, ins: Sequence[AbstractValue], scope: str
) -> list[AbstractValue]:
  """`concatenate` and `stack`: keeps a tag that all parts carry."""
  del interpreter, scope
  d = eqn.params.get("dimension", eqn.params.get("axis"))
  if eqn.primitive.name == "stack":
    ins = [v.moved(axes.inserted(d)) for v in ins]
    run = 1
  else:
    run = math.gcd(*(v.aval.shape[d] for v in eqn.invars))
  long = eqn.outvars[0].aval.shape[d] != 1
  static = all(v.static for v in ins)
  base = AbstractValue(
    vary=union(*(v.vary for v in ins), {d: 1} if long else {}),
    static=static,
    lost=next((v.lost for v in ins if v.lost), ""),
    lineage=lineages(*ins) if static else (),
    words=functools.reduce(join_words, (v.words for v in ins)),
  )
  along = {d: run} if long and len(ins) > 1 else {}
  return [_side_by_side(ins, base, along, "concatenated with another width")]


def _side_by_side(
  cases: Sequence[AbstractValue], base: AbstractValue, apart, why: str
) -> AbstractValue:
  """One value of several, each of which fills a part of it.

  Scales of different cases are one scale that varies along the axes `apart`,
  which tell the cases from each other. Example: two 1-bit arrays of 4 rows with
  a scalar scale each, concatenated, have one scale with `factor = {0: 4}`.
  """
  tagged = [v for v in cases if v.terms]
  if not tagged:
    return base
  if len({v.terms for v in cases}) > 1:
    return arithmetic.losing_tag(base, tagged[0], why)
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


def pad(
  interpreter: Any, eqn: Any, ins: Sequence[AbstractValue], scope: str
) -> list[AbstractValue]:
  """Padding with zero keeps the bits, and is noted where 0 is no symbol."""
  del interpreter, scope
  v, filler = ins
  shape = eqn.outvars[0].aval.shape
  grows = any(
    lo > 0 or hi > 0 or mid for lo, hi, mid in eqn.params["padding_config"]
  )
  v = v.moved(axes.resized(eqn.invars[0].aval.shape, shape))
  if not grows:
    return [v]
  static = v.static and filler.static
  out = replace(v, vary=everywhere(shape), const=None, static=static)
  if not v.terms:
    return [out]
  if filler.const is None:
    return [arithmetic.drop(out, "padded with an unknown value")]
  missing = v.lacks(filler.const)
  if filler.const != 0 and missing:
    return [arithmetic.drop(out, f"padded with {filler.const:g}")]
  return [replace(out, padded=v.padded or missing)]
