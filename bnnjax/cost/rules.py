"""How tags travel through arithmetic.

A product with a float that varies along fewer axes than the tensor is a scale,
a sum with one a zero-point: the bits stay, and the axes are remembered until a
contraction asks whether they can leave it. A float that varies along all of
them makes a real tensor: the tag is lost, and the value remembers where.
"""

import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import jax.numpy as jnp

from bnnjax.core.bits import BitTag
from bnnjax.cost.rows import Site
from bnnjax.cost.values import (
  Value,
  Words,
  bits_text,
  dtype_bits,
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
_LINEAR = frozenset(("add", "add_any", "sub", "mul", "div", "neg"))


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


def both_of(a: Value, b: Value, base: Value, **fields: Any) -> Value:
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


def carried(t: Value, base: Value, **fields: Any) -> Value:
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
      drop(t, "multiplied by a real tensor of its shape"), **ancestry(base)
    )
  c = u.const
  if c is not None and (c != 0 or not inverse):
    c = 1 / c if inverse else c
    values = t.values and tuple(sorted({v * c for v in t.values}))
    scaled = t.scaled or abs(c) != 1
    return carried(t, base, values=values, scaled=scaled)
  return carried(
    t, base, factor=union(t.factor, u.vary), scaled=True, relative=True
  )


def ancestry(base: Value) -> dict[str, Any]:
  return {"vary": base.vary, "static": base.static, "lineage": base.lineage}


def _shift(t: Value, u: Value, base: Value, shape, signs) -> Value:
  """`signs[0] * t + signs[1] * u` for an untagged `u`."""
  if _is_real(u, shape):
    return replace(
      drop(t, "added to a real tensor of its shape"), **ancestry(base)
    )
  if u.const == 0 and signs[0] == 1:
    return carried(t, base)
  values = None
  if t.values and u.const is not None and not t.relative:
    values = tuple(
      sorted({signs[0] * v + signs[1] * u.const for v in t.values})
    )
  return carried(
    t, base, shift=union(t.shift, u.vary), shifted=True, values=values
  )


def _product(name: str, a: Value, b: Value, base: Value, shape) -> Value:
  if a.terms and b.terms and name == "mul":
    if a.shifted or b.shifted:
      return replace(
        drop(a, "product of shifted low-bit values"), **ancestry(base)
      )
    pairs = itertools.product(a.terms, b.terms)
    return both_of(a, b, base, terms=tuple(_multiply_tags(*p) for p in pairs))
  if a.terms and not b.terms:
    return _scale(a, b, base, shape, inverse=name == "div")
  if b.terms and name == "mul":
    return _scale(b, a, base, shape, inverse=False)
  return replace(drop(b, "used as a divisor"), **ancestry(base))


def _sum(name: str, a: Value, b: Value, base: Value, shape) -> Value:
  sign = -1 if name == "sub" else 1
  if a.terms and b.terms:
    return both_of(a, b, base, terms=a.terms + b.terms)
  if a.terms:
    return _shift(a, b, base, shape, (1, sign))
  return _shift(b, a, base, shape, (sign, 1))


def _still_lost(name: str, ins: Sequence[Value]) -> str:
  """How a tag was lost, as long as that may have been a mistake.

  A value that lost its tag and then meets other data, or is bent by a function,
  is the real tensor of a layer that is float by design (a residual stream that
  begins with binary embeddings): nothing is missing there.
  """
  lost = next((v.lost for v in ins if v.lost), "")
  data = [v for v in ins if not v.static]
  if name not in _LINEAR or (len(data) > 1 and any(v.lost for v in data)):
    return ""
  return lost


def elementwise(name: str, ins: Sequence[Value], shape) -> Value:
  """The result of an elementwise primitive, `shape` being its shape."""
  base = Value(
    vary=union(*(v.vary for v in ins)) if ins else everywhere(shape),
    static=all(v.static for v in ins),
    lost=_still_lost(name, ins),
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
    return carried(ins[0], base, values=values)
  if name in ("max", "min") and ins[0].terms == ins[1].terms:
    return both_of(*ins, base, terms=ins[0].terms)
  if name == "square" and len(ins[0].terms) == 1 and not ins[0].shifted:
    terms = (_multiply_tags(ins[0].terms[0], ins[0].terms[0]),)
    return carried(ins[0], base, terms=terms, values=None)
  first = next(v for v in ins if v.terms)
  return replace(drop(first, f"`{name}`"), **ancestry(base))


def tagged(eqn: Any, v: Value) -> Value:
  """The value behind the tag primitive."""
  terms, role = eqn.params["terms"], eqn.params["role"]
  if terms[0].length:
    return packed(v, terms[0].length, dtype_bits(eqn.invars[0].aval.dtype))
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
    exact=v.number,
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


def packed(v: Value, length: int, width: int) -> Value:
  """Words of `width` bits whose rows hold `length` values each."""
  fill = Fraction(length, -(-length // width) * width)
  return replace(v, words=Words(fill=fill))


def unknown(aval: Any, name: str, ins: Sequence[Value]) -> Value:
  """A result of a primitive that has no rule."""
  out = plain(getattr(aval, "shape", ()), static=all(v.static for v in ins))
  source = next((v for v in ins if v.terms), None)
  if source is None or not jnp.issubdtype(aval.dtype, jnp.floating):
    return out
  return replace(out, lost=drop(source, f"`{name}`").lost)
