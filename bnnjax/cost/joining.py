"""Values laid side by side: select, concatenate, pad."""

import functools
import math
from collections.abc import Sequence
from typing import Any

from bnnjax.cost import axes, rules
from bnnjax.cost.values import (
  Value,
  everywhere,
  joined_words,
  lineages,
  replace,
  union,
)


def select(ins: Sequence[Value], shape) -> Value:
  """`select_n`: keeps a tag that all cases carry."""
  which, *cases = ins
  base = Value(
    vary=union(*(v.vary for v in ins)),
    static=all(v.static for v in ins),
    lost=next((v.lost for v in cases if v.lost), ""),
    lineage=lineages(*ins) if all(v.static for v in ins) else (),
    const=cases[0].const if len({v.const for v in cases}) == 1 else None,
    words=functools.reduce(joined_words, (v.words for v in cases)),
  )
  return _merge(cases, base, which.vary, "chosen beside an untagged value")


def _merge(cases, base: Value, apart, why: str) -> Value:
  """Cases laid side by side; where they differ in scale, it varies `apart`."""
  tagged = [v for v in cases if v.terms]
  if not tagged:
    return base
  if len({v.terms for v in cases}) > 1:
    return replace(rules.drop(tagged[0], why), **rules.ancestry(base))
  first = cases[0]
  for v in cases[1:]:
    first = rules.both_of(first, v, base, terms=v.terms)
  values = [v.values for v in cases]
  known = all(values) and not any(v.relative and v.shifted for v in cases)
  return replace(
    rules.carried(first, base),
    factor=union(first.factor, apart) if first.scaled else first.factor,
    shift=union(first.shift, apart) if first.shifted else first.shift,
    values=tuple(sorted({x for v in values for x in v})) if known else None,
    relative=any(v.relative for v in cases),
  )


def concatenate(eqn: Any, ins: Sequence[Value]) -> Value:
  """`concatenate` and `stack`: keeps a tag that all parts carry."""
  d = eqn.params.get("dimension", eqn.params.get("axis"))
  if eqn.primitive.name == "stack":
    ins = [v.moved(axes.inserted(d)) for v in ins]
    run = 1
  else:
    run = math.gcd(*(v.aval.shape[d] for v in eqn.invars))
  shape = eqn.outvars[0].aval.shape
  along = {d: run} if shape[d] != 1 and len(ins) > 1 else {}
  static = all(v.static for v in ins)
  base = Value(
    vary=union(*(v.vary for v in ins), {d: 1} if shape[d] != 1 else {}),
    static=static,
    lost=next((v.lost for v in ins if v.lost), ""),
    lineage=lineages(*ins) if static else (),
    words=functools.reduce(joined_words, (v.words for v in ins)),
  )
  return _merge(ins, base, along, "concatenated with another width")


def pad(eqn: Any, ins: Sequence[Value]) -> Value:
  """Padding with zero keeps the bits, and is noted where 0 is no symbol."""
  v, filler = ins
  shape = eqn.outvars[0].aval.shape
  grows = any(
    lo > 0 or hi > 0 or mid for lo, hi, mid in eqn.params["padding_config"]
  )
  old = eqn.invars[0].aval.shape
  v = v.moved(axes.resized(old, shape))
  if not grows:
    return v
  out = replace(
    v, vary=everywhere(shape), const=None, static=v.static and filler.static
  )
  if not v.terms:
    return out
  if filler.const is None:
    return rules.drop(out, "padded with an unknown value")
  missing = v.values is not None and filler.const not in v.values
  if filler.const != 0 and missing:
    return rules.drop(out, f"padded with {filler.const:g}")
  return replace(out, padded=v.padded or missing)
