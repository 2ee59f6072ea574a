"""What the walker knows of one variable of a jaxpr.

`Dims` maps an axis to a run length: along axis `d` the quantity changes at most
every `run` elements. An axis that is missing does not matter. Run lengths are
what tells a group-wise scale (repeated `group` times) from a real tensor.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np

from bnnjax.core.bits import BitTag
from bnnjax.core.bits import dtype_bits as dtype_bits
from bnnjax.cost.rows import Site

Dims = dict[int, int]


@dataclasses.dataclass(frozen=True, slots=True)
class Words:
  """Integers that are rows of bits.

  Attributes:
    bits: bits of a word, where a narrower word was widened; 0: its dtype's.
    fill: share of them that are data, from `tag(words, 1, length=K)`; `None`
      where nobody said.
    product: every bit is a product of a bit of one array and one of another.
    kernels: `((parameter, elements), ...)` among the factors.
    row: the row of the report, once the products were counted.
    summed: how many products `row` sums into one output so far.
  """

  bits: int = 0
  fill: Fraction | None = None
  product: bool = False
  kernels: tuple[tuple[int, int], ...] = ()
  row: Any = dataclasses.field(default=None, compare=False)
  summed: Fraction = Fraction(0)


@dataclasses.dataclass(frozen=True, slots=True)
class Value:
  """Abstract value: bits, and where float factors and shifts vary.

  Attributes:
    vary: axes along which the value itself may vary.
    terms: tags of the terms it is a sum of; empty when it is a plain array.
    role: `"weight"`, `"act"` or unknown.
    factor: axes along which a float factor on the low-bit value varies.
    shift: the same for a float summand.
    scaled, shifted: such a factor or summand exists, if only a scalar one.
    values: the exact alphabet where it is known, for the zero-padding check.
    relative: `values` holds up to an unknown factor.
    padded: zeros were put beside an alphabet that has none.
    lost: how a tag was lost on the way, empty if it was not.
    static: depends on parameters and constants only.
    lineage: `((parameter, elements), ...)` this is an elementwise image of.
    const: the number, when it is one known number throughout.
    affine: scope in which it is the output of a fixed multiply-add.
    number: equal for static values that are computed in the same way from the
      same parameters; 0 when unknown.
    root: `number` before multiplications and additions with a constant; 0 when
      it is `number`.
    sites: of the tags it carries, to tell two bases of one parameter from one
      that is used twice, and the bits of a weight from those of its mask.
    words: what is known of its bits, if it is an integer that holds a row.
    made: the array, or the equation and its operands, of a constant.
  """

  vary: Dims
  terms: tuple[BitTag, ...] = ()
  role: str | None = None
  factor: Dims = dataclasses.field(default_factory=dict)
  shift: Dims = dataclasses.field(default_factory=dict)
  scaled: bool = False
  shifted: bool = False
  values: tuple[float, ...] | None = None
  relative: bool = False
  padded: bool = False
  lost: str = ""
  static: bool = False
  lineage: tuple[tuple[int, int], ...] = ()
  const: float | None = None
  affine: str | None = None
  number: int = 0
  root: int = 0
  sites: tuple[Site, ...] = ()
  words: Words | None = None
  made: Any = dataclasses.field(default=None, compare=False, repr=False)

  def moved(self, dims: Callable[[Dims], Dims]) -> "Value":
    """The value after a change of axes."""
    return dataclasses.replace(
      self,
      vary=dims(self.vary),
      factor=dims(self.factor) if self.factor else self.factor,
      shift=dims(self.shift) if self.shift else self.shift,
    )


replace = dataclasses.replace


def everywhere(shape: Sequence[int]) -> Dims:
  """Every axis longer than 1."""
  return {d: 1 for d, size in enumerate(shape) if size != 1}


def plain(shape: Sequence[int], **fields: Any) -> Value:
  """An untagged array about whose contents nothing is known."""
  return Value(everywhere(shape), **fields)


def constant(x: Any) -> Value:
  """A literal or captured array."""
  shape = np.shape(x)
  size = math.prod(shape)
  number = None
  if size == 1 and jnp.issubdtype(jnp.result_type(x), jnp.number):
    number = np.asarray(x).reshape(()).item()
    number = None if isinstance(number, complex) else float(number)
  key = ("constant", shape, number if number is not None else id(x))
  return plain(shape, static=True, const=number, number=hash(key), made=x)


def union(*dims: Dims) -> Dims:
  """Varies where any varies; runs shrink to the greatest common divisor."""
  out = dict(dims[0]) if dims else {}
  for other in dims[1:]:
    for d, run in other.items():
      out[d] = math.gcd(out[d], run) if d in out else run
  return out


def lineages(*values: Value) -> tuple[tuple[int, int], ...]:
  """Parameters from which any of the values descends."""
  out = values[0].lineage
  for v in values[1:]:
    if v.lineage and v.lineage != out:
      out = tuple(sorted({*out, *v.lineage}))
  return out


def bits_text(terms: tuple[BitTag, ...]) -> str:
  """`"1-bit"`, or `"1+1-bit"` for a sum of terms."""
  return "+".join(str(t.bits) for t in terms) + "-bit"


def join(a: Value, b: Value, where: str) -> Value:
  """What is certain of a value that is either `a` or `b`."""
  if a == b:
    return a
  lost = a.lost or b.lost
  same = a.terms == b.terms
  if not same and not lost:
    gone = "/".join(bits_text(t) for t in (a.terms, b.terms) if t)
    lost = f"{gone} tag lost: {where}"
  out = Value(
    vary=union(a.vary, b.vary),
    lost=lost,
    static=a.static and b.static,
    lineage=lineages(a, b),
    const=a.const if a.const == b.const else None,
    words=joined_words(a.words, b.words),
  )
  if not same:
    return out
  return replace(
    out,
    terms=a.terms,
    role=a.role if a.role == b.role else None,
    factor=union(a.factor, b.factor),
    shift=union(a.shift, b.shift),
    scaled=a.scaled or b.scaled,
    shifted=a.shifted or b.shifted,
    values=a.values if a.values == b.values else None,
    relative=a.relative or b.relative,
    padded=a.padded or b.padded,
    sites=merged(a.sites, b.sites),
  )


def joined_words(a: Words | None, b: Words | None) -> Words | None:
  """Words that are either `a` or `b`, or lie side by side."""
  if a is None or b is None or a == b:
    # An untouched array (zeros before the first step) is words as well.
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
