"""How tags travel through arithmetic.

A product with a float that varies along fewer axes than the tensor is a scale,
a sum with one a zero-point: the bits stay, and the axes are remembered until a
contraction asks whether they can leave it. A float that varies along all of
them makes a real tensor: the tag is lost, and the value remembers where.

Example: `tag(sign(w), 1) * s[None, :]` is 1-bit with `factor = {1: 1}`;
`tag(sign(w), 1) * w` is a float that lost its tag.
"""

import itertools
from collections.abc import Sequence
from fractions import Fraction

import jax.numpy as jnp

from bnnjax.core import equations
from bnnjax.core.bits import BitTag
from bnnjax.core.equations import Operation
from bnnjax.cost import elementwise
from bnnjax.cost.abstract_value import (
  AbstractValue,
  Words,
  bits_text,
  depending_on,
  dtype_bits,
  everywhere,
  plain,
  replace,
  union,
  with_both_tags,
  with_tag,
)
from bnnjax.cost.ledger import TagSite

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


def drop(v: AbstractValue, where: str) -> AbstractValue:
  """The value without its tag, which is remembered as lost at `where`."""
  if not v.terms:
    return v
  return AbstractValue(
    vary=v.vary,
    lost=f"{bits_text(v.terms)} tag lost: {where}",
    static=v.static,
    lineage=v.lineage,
  )


def losing_tag(
  base: AbstractValue, tagged: AbstractValue, where: str
) -> AbstractValue:
  """A result `base` of which the operand `tagged` lost its tag at `where`."""
  return replace(
    drop(tagged, where),
    vary=base.vary,
    static=base.static,
    lineage=base.lineage,
  )


def _is_real(u: AbstractValue, shape: Sequence[int]) -> bool:
  """Whether a float operand is a real tensor rather than a scale."""
  full = everywhere(shape)
  return len(full) > 1 and all(u.vary.get(d) == 1 for d in full)


def _multiply_tags(a: BitTag, b: BitTag) -> BitTag:
  """The tag of a product: 1 bit times 4 is 4, 4 bits times 4 is 8."""
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


def _scale(
  t: AbstractValue, u: AbstractValue, base: AbstractValue, shape, inverse: bool
) -> AbstractValue:
  """A low-bit value times (or over) an untagged operand."""
  if _is_real(u, shape):
    return losing_tag(base, t, "multiplied by a real tensor of its shape")
  c = u.const
  if c is not None and (c != 0 or not inverse):
    c = 1 / c if inverse else c
    symbols = t.symbols and tuple(sorted({x * c for x in t.symbols}))
    scaled = t.scaled or abs(c) != 1
    return with_tag(base, t, symbols=symbols, scaled=scaled)
  factor = union(t.factor, u.vary)
  return with_tag(base, t, factor=factor, scaled=True, known_up_to_factor=True)


def _shift(
  t: AbstractValue, u: AbstractValue, base: AbstractValue, shape, signs
) -> AbstractValue:
  """`signs[0] * t + signs[1] * u` for an untagged `u`."""
  if _is_real(u, shape):
    return losing_tag(base, t, "added to a real tensor of its shape")
  if u.const == 0 and signs[0] == 1:
    return with_tag(base, t)
  symbols = None
  if t.symbols and u.const is not None and not t.known_up_to_factor:
    symbols = tuple(
      sorted({signs[0] * x + signs[1] * u.const for x in t.symbols})
    )
  shift = union(t.shift, u.vary)
  return with_tag(base, t, shift=shift, shifted=True, symbols=symbols)


def _product(
  name: str, a: AbstractValue, b: AbstractValue, base: AbstractValue, shape
) -> AbstractValue:
  if a.terms and b.terms and name == "mul":
    if a.shifted or b.shifted:
      return losing_tag(base, a, "product of shifted low-bit values")
    pairs = itertools.product(a.terms, b.terms)
    terms = tuple(_multiply_tags(*pair) for pair in pairs)
    return with_both_tags(base, a, b, terms=terms)
  if a.terms and not b.terms:
    return _scale(a, b, base, shape, inverse=name == "div")
  if b.terms and name == "mul":
    return _scale(b, a, base, shape, inverse=False)
  return losing_tag(base, b, "used as a divisor")


def _sum(
  name: str, a: AbstractValue, b: AbstractValue, base: AbstractValue, shape
) -> AbstractValue:
  sign = -1 if name == "sub" else 1
  if a.terms and b.terms:
    return with_both_tags(base, a, b, terms=a.terms + b.terms)
  if a.terms:
    return _shift(a, b, base, shape, (1, sign))
  return _shift(b, a, base, shape, (sign, 1))


def _still_lost(name: str, ins: Sequence[AbstractValue]) -> str:
  """Where a tag was lost, as long as that may have been a mistake.

  A value that lost its tag and then meets other data, or a nonlinear function,
  is the real tensor of a layer that is float by design (a residual stream that
  starts with binary embeddings): nothing is missing there.
  """
  lost = next((v.lost for v in ins if v.lost), "")
  data = [v for v in ins if not v.static]
  if name not in _LINEAR or (len(data) > 1 and any(v.lost for v in data)):
    return ""
  return lost


def result(op: Operation) -> AbstractValue:
  """The result of an elementwise primitive."""
  return elementwise.mark_affine(op, combine(op.name, op.ins, op.shape))


def combine(name: str, ins: Sequence[AbstractValue], shape) -> AbstractValue:
  """The result of an elementwise primitive, `shape` being its shape."""
  base = depending_on(*ins, lost=_still_lost(name, ins))
  if name in _FOLD and all(v.const is not None for v in ins):
    base = replace(base, const=_FOLD[name](*(v.const for v in ins)))
  if not any(v.terms for v in ins):
    return base
  if name in ("mul", "div"):
    return _product(name, *ins, base, shape)
  if name in ("add", "add_any", "sub"):
    return _sum(name, *ins, base, shape)
  if name == "neg":
    symbols = ins[0].symbols and tuple(sorted(-x for x in ins[0].symbols))
    return with_tag(base, ins[0], symbols=symbols)
  if name in ("max", "min") and ins[0].terms == ins[1].terms:
    return with_both_tags(base, *ins, terms=ins[0].terms)
  if name == "square" and len(ins[0].terms) == 1 and not ins[0].shifted:
    terms = (_multiply_tags(ins[0].terms[0], ins[0].terms[0]),)
    return with_tag(base, ins[0], terms=terms, symbols=None)
  first = next(v for v in ins if v.terms)
  return losing_tag(base, first, f"`{name}`")


def tagged(op: Operation) -> AbstractValue:
  """The value behind the tag primitive."""
  v, terms = op.ins[0], op.params["terms"]
  if length := terms[0].length:  # words whose rows hold `length` values each
    width = dtype_bits(op.eqn.invars[0].aval.dtype)
    fill = Fraction(length, -(-length // width) * width)
    return replace(v, words=Words(fill=fill))
  symbols = terms[0].alphabet if len(terms) == 1 else None
  if len(terms) == 1 and symbols is None and terms[0].bits == 1:
    # The 1-bit grid of this field is {-1,+1}; {0,1} has to be declared.
    symbols = (-1, 1)
  site = TagSite(
    root_id=v.root_id or v.expression_id,
    bits=sum(t.bits * t.density for t in terms),
    parameters=tuple(source.parameter for source in v.lineage),
    densities=tuple(t.density for t in terms if t.density != 1),
    mask=[(t.bits, t.alphabet) for t in terms] == [(1, (0, 1))],
    expression_id=v.expression_id,
  )
  return AbstractValue(
    vary=v.vary,
    terms=terms,
    role=op.params["role"],
    symbols=symbols and tuple(float(x) for x in symbols),
    static=v.static,
    lineage=v.lineage if v.static else (),
    tag_sites=(site,),
  )


def unknown(op: Operation) -> list[AbstractValue]:
  """Results of a primitive without a rule, with a warning if it may be work."""
  if remark := equations.unseen(op.eqn, elementwise.KNOWN):
    op.interpreter.ledger.warn(op.scope, remark)
  source = next((v for v in op.ins if v.terms), None)
  lost = drop(source, f"`{op.name}`").lost if source else ""
  outs = []
  for v in op.eqn.outvars:
    is_float = lost and jnp.issubdtype(v.aval.dtype, jnp.floating)
    shape = getattr(v.aval, "shape", ())
    outs.append(plain(shape, static=op.static, lost=lost if is_float else ""))
  return outs
