"""The bit-width of a value, carried by the value itself.

`tag` binds a primitive that is the identity and is visible in the jaxpr alone:
it survives jit, vmap, scan, remat and grad, leaves tangents untagged, and
lowers to nothing, so the compiled program is the same with and without it.
`bnnjax.cost` learns bit-widths from these tags alone.
"""

import dataclasses
import functools
import numbers
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

ROLES = ("weight", "act")
TAG_ROLES = (*ROLES, "shift")
WIDEST = 128  # bits of the widest dtype, complex128


@dataclasses.dataclass(frozen=True)
class BitTag:
  """Format of one term of a low-bit value.

  Attributes:
    bits: width of the stored integer, at least 1.
    alphabet: the possible values; `None` is the whole `bits`-bit grid.
    density: share of non-zero elements, which have to be multiplied (N:M or
      unstructured sparsity); 1 is dense.
    group: a float factor may differ between groups of this many consecutive
      elements along the contracted axis (group-wise scales); 0 means that no
      factor varies along that axis.
    length: the array holds machine words, and a row of words this many values;
      0 means that each element of the array is one value.
  """

  bits: int
  alphabet: tuple[int, ...] | None = None
  density: Fraction = Fraction(1)
  group: int = 0
  length: int = 0

  def __post_init__(self):
    if isinstance(self.bits, bool) or not isinstance(self.bits, int):
      raise TypeError(f"`bits` must be an int, got {self.bits!r}.")
    if self.bits < 1:
      raise ValueError(f"`bits` must be at least 1, got {self.bits}.")
    if self.bits > WIDEST:
      raise ValueError(f"`bits` must be at most {WIDEST}, got {self.bits}.")
    if (
      isinstance(self.density, (bool, str))
      or not isinstance(self.density, numbers.Real)
      or not 0 < self.density <= 1
    ):
      raise ValueError(f"`density` must be in (0, 1], got {self.density}.")
    density = Fraction(self.density).limit_denominator(2**20)
    object.__setattr__(self, "density", density)
    if not isinstance(self.group, int) or self.group < 0:
      raise ValueError(f"`group` must be an int >= 0, got {self.group!r}.")
    _check_length(self.length)
    if self.alphabet is not None:
      listed = isinstance(self.alphabet, (tuple, list))
      if not listed or not all(
        isinstance(v, numbers.Real) for v in self.alphabet
      ):
        raise TypeError(
          f"`alphabet` must be a tuple of numbers or None, got"
          f" {self.alphabet!r}."
        )
      object.__setattr__(self, "alphabet", tuple(self.alphabet))
      if len(self.alphabet) > 2**self.bits and self.alphabet != (-1, 0, 1):
        raise ValueError(
          f"An alphabet of {len(self.alphabet)} values does not fit into"
          f" {self.bits} bits."
        )


def dtype_bits(dtype: Any) -> int:
  """Width of an untagged operand: float32 32, bfloat16 16, int4 4, bool 1."""
  if dtype == jnp.bool_:
    return 1
  if jnp.issubdtype(dtype, jnp.floating):
    return jnp.finfo(dtype).bits
  if jnp.issubdtype(dtype, jnp.integer):
    return jnp.iinfo(dtype).bits
  return 8 * getattr(dtype, "itemsize", 4)


def _check_length(length: int) -> None:
  if isinstance(length, bool) or not isinstance(length, numbers.Integral):
    raise TypeError(f"`length` must be an int, got {length!r}.")
  if length < 0:
    raise ValueError(f"`length` must be at least 1, got {length}.")


tag_p = Primitive("bit_tag")


@tag_p.def_impl
def _impl(x, **_):
  return x


@tag_p.def_abstract_eval
def _abstract_eval(x, **_):
  return x


def _jvp(primals, tangents, **params):
  # The tangent of a binary value is a real number: it stays untagged.
  return tag_p.bind(primals[0], **params), tangents[0]


ad.primitive_jvps[tag_p] = _jvp
batching.defvectorized(tag_p)
mlir.register_lowering(tag_p, lambda ctx, x, **_: [x])


def tag(
  x: jax.Array,
  bits: "int | BitTag | Sequence[int | BitTag]",
  *,
  role: str | None = None,
  alphabet: Sequence[int] | None = None,
  density: "float | Fraction" = 1,
  group: int = 0,
  length: int | None = None,
) -> jax.Array:
  """Returns `x`, marked for the cost counter as a low-bit value.

  Forward and backward: the identity; the cotangent is not tagged. Place the tag
  after an affine map (`tag((sign(x) + 1) / 2, 1)`): an addition loses it. A
  product with a float factor keeps it as long as the factor can be moved out of
  the contraction.

  Args:
    x: any array `[...]`, with values of this format up to scales.
    bits: width of the value; a sequence for a sum of terms that is contracted
      once but costs one contraction per term.
    role: `"weight"` or `"act"`, the side in `(w_bits, a_bits)`. With `None` the
      right operand is the weight. `"shift"` is a float summand of a weight; it
      is stored but is not a kernel.
    alphabet: the possible values, e.g. `(0, 1)`; `None` is the whole grid.
    density: share of non-zero elements.
    group: size of the groups along the contracted axis that have their own
      scales; 0 for none.
    length: number of values in a row if `x` holds packed 1-bit values in
      machine words (`pack_signs`): K of the dot product
      `K - 2 * sum(population_count(x ^ w))`. One axis of `x` has
      `ceil(length / bits of a word)` words. Without it, the padding bits of the
      last word are counted too.

  Raises:
    TypeError, ValueError: an impossible width, role, density, group or length.

  Example:
    >>> words = pack_signs(jnp.ones((5, 100)))  # [5, 4], uint32
    >>> tag(words, 1, length=100).shape
    (5, 4)
  """
  if not isinstance(x, (jax.Array, np.ndarray, np.generic, float, int)):
    raise TypeError(f"`tag` takes an array, got {x!r}.")
  if isinstance(x, (float, int)):
    x = np.asarray(x)
  if not (x.dtype == bool or jnp.issubdtype(x.dtype, jnp.number)):
    raise TypeError(f"`tag` takes an array of numbers, got {x.dtype}.")
  if role is not None and role not in TAG_ROLES:
    raise ValueError(
      f"`role` must be one of {TAG_ROLES} or None, got {role!r}."
    )
  if length is not None:
    _check_words(x, bits, length)
  make = functools.partial(
    BitTag,
    alphabet=alphabet,
    density=density,
    group=group,
    length=int(length or 0),
  )
  terms = bits if isinstance(bits, (list, tuple)) else (bits,)
  terms = tuple(t if isinstance(t, BitTag) else make(t) for t in terms)
  if not terms:
    raise ValueError("`bits` holds no term.")
  return tag_p.bind(x, terms=terms, role=role)


stored_p = Primitive("stored")


@stored_p.def_impl
def _stored_impl(x, weight):
  del weight
  return x


@stored_p.def_abstract_eval
def _stored_abstract_eval(x, weight):
  del weight
  return x


def _stored_batch(values, axes):
  x, weight = values
  return stored_p.bind(x, weight), axes[0]


ad.primitive_jvps[stored_p] = lambda primals, tangents: (
  stored_p.bind(*primals),
  tangents[0],
)
batching.primitive_batchers[stored_p] = _stored_batch
mlir.register_lowering(stored_p, lambda ctx, x, weight: [x])


def stored(x: jax.Array, weight: jax.Array) -> jax.Array:
  """Returns `x`, marked for the cost counter as stored with a weight.

  A scale computed from a weight is not a variable, yet the deployed network,
  which has the low-bit values alone, has to store it. The identity in both
  directions, without any work at run time.

  Args:
    x: `[...]`, computed from `weight`.
    weight: the latent weight.
  """
  return stored_p.bind(x, weight)


def _check_words(x: jax.Array, bits, length: int) -> None:
  """Raises if no axis of `x` has the words for this length."""
  _check_length(length)
  if length == 0:
    raise ValueError("`length` must be at least 1, got 0.")
  if bits != 1 or isinstance(bits, bool):
    raise ValueError(f"`length` counts packed 1-bit values, got bits={bits!r}.")
  if not jnp.issubdtype(x.dtype, jnp.integer):
    raise TypeError(
      f"`length` is for packed words: `x` must be an integer array, got"
      f" {x.dtype}."
    )
  width = jnp.iinfo(x.dtype).bits
  words = -(-length // width)
  if words > 1 and words not in x.shape:
    raise ValueError(
      f"{length} packed values take {words} words of {width} bits, and no axis"
      f" of `x` {tuple(x.shape)} has {words}. `length` is the number of values"
      " along the packed axis alone; tag the words before they are reshaped."
    )
