"""How tags travel through arithmetic.

A product with a float that varies along fewer axes than the tensor is a scale,
a sum with one a zero-point: the bits stay, and the axes are remembered until a
contraction asks whether they can leave it. A float that varies along all of
them makes a real tensor: the tag is lost, and the value remembers where.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from bnnjax.core.bits import BitTag
from bnnjax.cost import axes
from bnnjax.cost.rows import Site
from bnnjax.cost.values import (
  Value,
  bits_text,
  everywhere,
  lineages,
  merged,
  plain,
  replace,
  union,
)

_FOLD = {
  "mul": lambda a, b: a * b,
  "div": lambda a, b: a / b if b else None,
  "add": lambda a, b: a + b,
  "add_any": lambda a, b: a + b,
  "sub": lambda a, b: a - b,
  "max": max,
  "min": min,
}


def drop(v: Value, where: str) -> Value:
  """The value without its tag, which is remembered as lost at `where`."""
  if not v.terms:
    return v
  return Value(
    vary=v.vary,
    lost=f"{bits_text(v.terms)} tag lost: {where}",
    static=v.static,
    lineage=v.lineage,
  )


def _is_real(u: Value, shape: Sequence[int]) -> bool:
  """Whether a float operand is a real tensor rather than a scale."""
  full = everywhere(shape)
  return len(full) > 1 and all(u.vary.get(d) == 1 for d in full)


def _multiply_tags(a: BitTag, b: BitTag) -> BitTag:
  alphabet = None
  if a.alphabet and b.alphabet:
    alphabet = tuple(
      sorted({x * y for x, y in itertools.product(a.alphabet, b.alphabet)})
    )
  # Sign times sign is a sign, and neither a sign nor a mask widens a value.
  small = any(t.alphabet and set(t.alphabet) <= {-1, 0, 1} for t in (a, b))
  both = max if small or a.bits == b.bits == 1 else int.__add__
  bits = both(a.bits, b.bits)
  groups = [g for g in (a.group, b.group) if g]
  if alphabet and len(alphabet) > 2**bits and alphabet != (-1, 0, 1):
    alphabet = None
  return BitTag(bits, alphabet, a.density * b.density, min(groups, default=0))


def _both(a: Value, b: Value, base: Value, **fields: Any) -> Value:
  """Fields shared by the sum and the product of two low-bit values."""
  roles = {v.role for v in (a, b) if v.role}
  return replace(
    base,
    role=roles.pop() if len(roles) == 1 else None,
    factor=union(a.factor, b.factor),
    shift=union(a.shift, b.shift),
    scaled=a.scaled or b.scaled,
    shifted=a.shifted or b.shifted,
    padded=a.padded or b.padded,
    sites=merged(a.sites, b.sites),
    **fields,
  )


def _carry(t: Value, base: Value, **fields: Any) -> Value:
  """`t` after an operation that keeps its bits, with `fields` changed."""
  kept = dict(
    terms=t.terms,
    role=t.role,
    factor=t.factor,
    shift=t.shift,
    scaled=t.scaled,
    shifted=t.shifted,
    values=t.values,
    relative=t.relative,
    padded=t.padded,
    sites=t.sites,
  )
  return replace(base, **{**kept, **fields})


def _scale(t: Value, u: Value, base: Value, shape, inverse: bool) -> Value:
  """A low-bit value times (or over) an untagged operand."""
  if _is_real(u, shape):
    return replace(
      drop(t, "multiplied by a real tensor of its shape"), **_ancestry(base)
    )
  c = u.const
  if c is not None and (c != 0 or not inverse):
    c = 1 / c if inverse else c
    values = t.values and tuple(sorted({v * c for v in t.values}))
    scaled = t.scaled or abs(c) != 1
    return _carry(t, base, values=values, scaled=scaled)
  return _carry(
    t, base, factor=union(t.factor, u.vary), scaled=True, relative=True
  )


def _ancestry(base: Value) -> dict[str, Any]:
  return {"vary": base.vary, "static": base.static, "lineage": base.lineage}


def _shift(t: Value, u: Value, base: Value, shape, signs) -> Value:
  """`signs[0] * t + signs[1] * u` for an untagged `u`."""
  if _is_real(u, shape):
    return replace(
      drop(t, "added to a real tensor of its shape"), **_ancestry(base)
    )
  if u.const == 0 and signs[0] == 1:
    return _carry(t, base)
  values = None
  if t.values and u.const is not None and not t.relative:
    values = tuple(
      sorted({signs[0] * v + signs[1] * u.const for v in t.values})
    )
  return _carry(
    t, base, shift=union(t.shift, u.vary), shifted=True, values=values
  )


def _product(name: str, a: Value, b: Value, base: Value, shape) -> Value:
  if a.terms and b.terms and name == "mul":
    if a.shifted or b.shifted:
      return replace(
        drop(a, "product of shifted low-bit values"), **_ancestry(base)
      )
    pairs = itertools.product(a.terms, b.terms)
    return _both(a, b, base, terms=tuple(_multiply_tags(*p) for p in pairs))
  if a.terms and not b.terms:
    return _scale(a, b, base, shape, inverse=name == "div")
  if b.terms and name == "mul":
    return _scale(b, a, base, shape, inverse=False)
  return replace(drop(b, "used as a divisor"), **_ancestry(base))


def _sum(name: str, a: Value, b: Value, base: Value, shape) -> Value:
  sign = -1 if name == "sub" else 1
  if a.terms and b.terms:
    return _both(a, b, base, terms=a.terms + b.terms)
  if a.terms:
    return _shift(a, b, base, shape, (1, sign))
  return _shift(b, a, base, shape, (sign, 1))


def elementwise(name: str, ins: Sequence[Value], shape) -> Value:
  """The result of an elementwise primitive, `shape` being its shape."""
  base = Value(
    vary=union(*(v.vary for v in ins)) if ins else everywhere(shape),
    static=all(v.static for v in ins),
    lost=next((v.lost for v in ins if v.lost), ""),
  )
  if base.static and ins:
    base = replace(base, lineage=lineages(*ins))
  if name in _FOLD and all(v.const is not None for v in ins):
    base = replace(base, const=_FOLD[name](*(v.const for v in ins)))
  if not any(v.terms for v in ins):
    return base
  if name in ("mul", "div"):
    return _product(name, *ins, base, shape)
  if name in ("add", "add_any", "sub"):
    return _sum(name, *ins, base, shape)
  if name == "neg":
    values = ins[0].values and tuple(sorted(-v for v in ins[0].values))
    return _carry(ins[0], base, values=values)
  if name in ("max", "min") and ins[0].terms == ins[1].terms:
    return _both(*ins, base, terms=ins[0].terms)
  if name == "square" and len(ins[0].terms) == 1 and not ins[0].shifted:
    terms = (_multiply_tags(ins[0].terms[0], ins[0].terms[0]),)
    return _carry(ins[0], base, terms=terms, values=None)
  first = next(v for v in ins if v.terms)
  return replace(drop(first, f"`{name}`"), **_ancestry(base))


def select(ins: Sequence[Value], shape) -> Value:
  """`select_n`: keeps a tag that all cases carry."""
  which, *cases = ins
  base = Value(
    vary=union(*(v.vary for v in ins)),
    static=all(v.static for v in ins),
    lost=next((v.lost for v in cases if v.lost), ""),
    lineage=lineages(*ins) if all(v.static for v in ins) else (),
    const=cases[0].const if len({v.const for v in cases}) == 1 else None,
  )
  return _merge(cases, base, which.vary, "chosen beside an untagged value")


def _merge(cases, base: Value, apart, why: str) -> Value:
  """Cases laid side by side; where they differ in scale, it varies `apart`."""
  tagged = [v for v in cases if v.terms]
  if not tagged:
    return base
  if len({v.terms for v in cases}) > 1:
    return replace(drop(tagged[0], why), **_ancestry(base))
  first = cases[0]
  for v in cases[1:]:
    first = _both(first, v, base, terms=v.terms)
  values = [v.values for v in cases]
  known = all(values) and not any(v.relative and v.shifted for v in cases)
  return replace(
    _carry(first, base),
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
    return drop(out, "padded with an unknown value")
  missing = v.values is not None and filler.const not in v.values
  if filler.const != 0 and missing:
    return drop(out, f"padded with {filler.const:g}")
  return replace(out, padded=v.padded or missing)


def tagged(v: Value, terms: tuple[BitTag, ...], role: str | None) -> Value:
  """The value behind the tag primitive."""
  values = terms[0].alphabet if len(terms) == 1 else None
  if len(terms) == 1 and values is None and terms[0].bits == 1:
    # The 1-bit grid of this field is {-1,+1}; {0,1} has to be declared.
    values = (-1, 1)
  site = Site(
    number=v.root or v.number,
    bits=sum(t.bits * t.density for t in terms),
    parameters=tuple(i for i, _ in v.lineage),
    densities=tuple(t.density for t in terms if t.density != 1),
    mask=[(t.bits, t.alphabet) for t in terms] == [(1, (0, 1))],
  )
  return Value(
    vary=v.vary,
    terms=terms,
    role=role,
    values=values and tuple(float(x) for x in values),
    static=v.static,
    lineage=v.lineage if v.static else (),
    sites=(site,),
  )


def unknown(aval: Any, name: str, ins: Sequence[Value]) -> Value:
  """A result of a primitive that has no rule."""
  out = plain(getattr(aval, "shape", ()), static=all(v.static for v in ins))
  source = next((v for v in ins if v.terms), None)
  if source is None or not jnp.issubdtype(aval.dtype, jnp.floating):
    return out
  return replace(out, lost=drop(source, f"`{name}`").lost)
