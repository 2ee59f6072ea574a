"""Values through primitives that only move, copy or pick elements."""

import math
from collections.abc import Sequence
from typing import Any

from bnnjax.cost import axes, words
from bnnjax.cost.values import Value, replace


def moved(walker: Any, eqn: Any, ins: Sequence[Value]) -> Value:
  """The result of a primitive of `axes.KEEP`."""
  name = eqn.primitive.name
  old, new = (v.aval.shape for v in (eqn.invars[0], eqn.outvars[0]))
  out = ins[0].moved(axes.KEEP[name](eqn))
  static = all(v.static for v in ins)
  if name in ("gather", "dynamic_slice") and not static and out.static:
    walker.use(ins[0], old, eqn.invars[0].aval.dtype, "embedding", old[-1:])
  if name.startswith("reduce_"):
    return replace(out, static=static, lineage=(), affine=None, number=0)
  out = _cut_lineage(out, old, new)
  if name == "convert_element_type":
    out = replace(out, words=words.converted(eqn, ins[0]))
  return replace(
    out,
    static=static,
    lineage=out.lineage if static else (),
    affine=out.affine if old == new else None,
  )


def part(eqn: Any, v: Value, new: Sequence[int]) -> Value:
  """One result of `split` or `unstack`."""
  old = eqn.invars[0].aval.shape
  return _cut_lineage(v.moved(axes.parts(eqn, new)), old, new)


def _cut_lineage(v: Value, old: Sequence[int], new: Sequence[int]) -> Value:
  """A slice of a parameter stands for a share of its elements."""
  a, b = math.prod(old), math.prod(new)
  if not v.lineage or a == b or b > a:
    return v
  kept = tuple((i, b if n == a else n) for i, n in v.lineage)
  return replace(v, lineage=kept)
