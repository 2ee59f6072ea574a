"""What the interpreter knows of one variable of a jaxpr.

`Dims` maps an axis to a run length: along axis `d` the quantity changes at most
every `run` elements. An axis that is missing does not matter. Run lengths tell
a group-wise scale (repeated `group` times) from a real tensor.

Example: `jnp.repeat(s, 16)[:, None] * ones((64, 8))` with four scales `s` has
`vary = {0: 16}`: axis 0 changes every 16 elements, axis 1 never.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from bnnjax.core.bits import BitTag
from bnnjax.core.bits import dtype_bits as dtype_bits
from bnnjax.cost.ledger import TagSite

Dims = dict[int, int]


class Source(NamedTuple):
  """A parameter behind a value, and how many of its elements."""

  parameter: int
  elements: int


@dataclasses.dataclass(frozen=True, slots=True)
class Words:
  """Integers that are rows of bits.

  Attributes:
    bits: bits of a word, where a narrower word was widened; 0: its dtype's.
    fill: share of the bits that are data, from `tag(words, 1, length=K)`;
      `None` if it is not declared.
    product: every bit is a product of a bit of one array and one of another.
    kernels: parameters among the factors.
    row: the row of the report, once the products were counted.
    summed: how many products `row` sums into one output so far.
  """

  bits: int = 0
  fill: Fraction | None = None
  product: bool = False
  kernels: tuple[Source, ...] = ()
  row: Any = dataclasses.field(default=None, compare=False)
  summed: Fraction = Fraction(0)


@dataclasses.dataclass(frozen=True, slots=True)
class AbstractValue:
  """Bits of a value, and where its float factors and shifts vary.

  Attributes:
    vary: axes along which the value itself may vary.
    terms: tags of the terms it is a sum of; empty when it is a plain array.
    role: `"weight"`, `"act"` or unknown.
    factor: axes along which a float factor on the low-bit value varies.
    shift: the same for a float summand.
    scaled, shifted: such a factor or summand exists, if only a scalar one.
    symbols: the exact alphabet where it is known, for the zero-padding check.
    known_up_to_factor: `symbols` holds up to an unknown factor.
    padded: zeros were put beside an alphabet that has none.
    tag_sites: of its tags, to tell two bases of one parameter from one that is
      used twice, and the bits of a weight from those of its mask.
    lost: where a tag was lost on the way; empty if none was.
    static: depends on parameters and constants only.
    lineage: parameters that this is an elementwise image of.
    const: the number, if all elements are one known number.
    affine: scope in which it is the output of a fixed multiply-add.
    expression_id: equal for static values that are computed in the same way
      from the same parameters; 0 when unknown.
    root_id: `expression_id` before multiplications and additions with a
      constant; 0 when it is `expression_id`.
    words: what is known of its bits, if it is an integer that holds a row.
    expression: of a constant: the array, or its equation and operands.
  """

  vary: Dims
  terms: tuple[BitTag, ...] = ()
  role: str | None = None
  factor: Dims = dataclasses.field(default_factory=dict)
  shift: Dims = dataclasses.field(default_factory=dict)
  scaled: bool = False
  shifted: bool = False
  symbols: tuple[float, ...] | None = None
  known_up_to_factor: bool = False
  padded: bool = False
  tag_sites: tuple[TagSite, ...] = ()
  lost: str = ""
  static: bool = False
  lineage: tuple[Source, ...] = ()
  const: float | None = None
  affine: str | None = None
  expression_id: int = 0
  root_id: int = 0
  words: Words | None = None
  expression: Any = dataclasses.field(default=None, compare=False, repr=False)

  def moved(self, dims: Callable[[Dims], Dims]) -> "AbstractValue":
    """The value after a change of axes."""
    return dataclasses.replace(
      self,
      vary=dims(self.vary),
      factor=dims(self.factor) if self.factor else self.factor,
      shift=dims(self.shift) if self.shift else self.shift,
    )

  def lacks(self, symbol: float) -> bool:
    """Whether its alphabet is known and `symbol` is not in it."""
    return self.symbols is not None and symbol not in self.symbols


replace = dataclasses.replace
# What a tag says of a value; the other fields describe the array itself.
_TAG_FIELDS = (
  "terms", "role", "factor", "shift", "scaled", "shifted", "symbols",
  "known_up_to_factor", "padded", "tag_sites",
)  # fmt: skip


def with_tag(
  base: AbstractValue, tagged: AbstractValue, **fields: Any
) -> AbstractValue:
  """`base` with the tag of another value, some `fields` of it replaced."""
  tag = {name: getattr(tagged, name) for name in _TAG_FIELDS}
  return replace(base, **tag | fields)


def with_both_tags(
  base: AbstractValue, a: AbstractValue, b: AbstractValue, **fields: Any
) -> AbstractValue:
  """`base` with what the tags of two values have in common.

  Factors and shifts of either value are factors and shifts of the result;
  `fields` set the terms and symbols.
  """
  roles = {v.role for v in (a, b) if v.role}
  common = dict(
    role=roles.pop() if len(roles) == 1 else None,
    factor=union(a.factor, b.factor),
    shift=union(a.shift, b.shift),
    scaled=a.scaled or b.scaled,
    shifted=a.shifted or b.shifted,
    padded=a.padded or b.padded,
    tag_sites=merged(a.tag_sites, b.tag_sites),
  )
  return replace(base, **common | fields)


def everywhere(shape: Sequence[int]) -> Dims:
  """Every axis longer than 1."""
  return {d: 1 for d, size in enumerate(shape) if size != 1}


def plain(shape: Sequence[int], **fields: Any) -> AbstractValue:
  """An untagged array about whose contents nothing is known."""
  return AbstractValue(everywhere(shape), **fields)


def constant(x: Any) -> AbstractValue:
  """A literal or captured array."""
  shape = np.shape(x)
  number = None
  if math.prod(shape) == 1 and jnp.issubdtype(jnp.result_type(x), jnp.number):
    number = np.asarray(x).reshape(()).item()
    number = None if isinstance(number, complex) else float(number)
  key = ("constant", shape, number if number is not None else id(x))
  return plain(
    shape, static=True, const=number, expression_id=hash(key), expression=x
  )


def depending_on(*values: AbstractValue, **fields: Any) -> AbstractValue:
  """An untagged value that is computed from others, element by element."""
  static = all(v.static for v in values)
  base = AbstractValue(
    vary=union(*(v.vary for v in values)),
    static=static,
    lineage=lineages(*values) if static else (),
  )
  return replace(base, **fields)


def union(*dims: Dims) -> Dims:
  """Varies where any varies; runs shrink to the greatest common divisor.

  Example: `union({0: 4}, {0: 6, 1: 1})` is `{0: 2, 1: 1}`.
  """
  out = dict(dims[0]) if dims else {}
  for other in dims[1:]:
    for d, run in other.items():
      out[d] = math.gcd(out[d], run) if d in out else run
  return out


def lineages(*values: AbstractValue) -> tuple[Source, ...]:
  """Parameters from which any of the values descends."""
  out = values[0].lineage
  for v in values[1:]:
    if v.lineage and v.lineage != out:
      out = tuple(sorted({*out, *v.lineage}))
  return out


def bits_text(terms: tuple[BitTag, ...]) -> str:
  """`"1-bit"`, or `"1+1-bit"` for a sum of terms."""
  return "+".join(str(t.bits) for t in terms) + "-bit"


def join(a: AbstractValue, b: AbstractValue, where: str) -> AbstractValue:
  """What is certain of a value that is either `a` or `b`.

  Example: a 1-bit value or a 1-bit value with a scale along axis 0 is a 1-bit
  value that may have one; a 1-bit value or a float is a float that lost its tag
  at `where`.
  """
  if a == b:
    return a
  lost = a.lost or b.lost
  same = a.terms == b.terms
  if not same and not lost:
    gone = "/".join(bits_text(t) for t in (a.terms, b.terms) if t)
    lost = f"{gone} tag lost: {where}"
  out = AbstractValue(
    vary=union(a.vary, b.vary),
    lost=lost,
    static=a.static and b.static,
    lineage=lineages(a, b),
    const=a.const if a.const == b.const else None,
    words=join_words(a.words, b.words),
  )
  if not same:
    return out
  return with_both_tags(
    out,
    a,
    b,
    terms=a.terms,
    role=a.role if a.role == b.role else None,
    symbols=a.symbols if a.symbols == b.symbols else None,
    known_up_to_factor=a.known_up_to_factor or b.known_up_to_factor,
  )


def join_words(a: Words | None, b: Words | None) -> Words | None:
  """Words that are either `a` or `b`, or lie side by side."""
  if a is None or b is None or a == b:
    # An untouched array (zeros before the first step) may be words as well.
    return a or b
  return Words(
    bits=max(a.bits, b.bits) if a.bits and b.bits else 0,
    fill=a.fill if a.fill == b.fill else None,
    product=a.product or b.product,
    kernels=merged(a.kernels, b.kernels),
  )


def merged(a: tuple, b: tuple) -> tuple:
  """Both, sorted, once each."""
  return a if a == b else tuple(sorted({*a, *b}, key=repr))
