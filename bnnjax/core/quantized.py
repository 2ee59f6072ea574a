"""A low-bit tensor: a sum of scaled low-bit terms.

    x  ~  sum_k  mask_k * value_k * prod(factors_k)  + shift

Every method is a choice of terms. Training, cost, packing and packed inference
read this one type.
"""

import dataclasses
import functools
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core import bits as bits_lib
from bnnjax.core import quantized_check


@nnx.register_data_type
@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=("value", "scale", "mask"),
  meta_fields=("kind",),
)
@dataclasses.dataclass(frozen=True)
class Term:
  """One scaled low-bit term.

  Attributes:
    value: `[...]`, low-bit numbers in a float container.
    scale: a factor, or a tuple of factors whose product is the scale; `None` is
      1. Each broadcasts against `value`: `[K, 1]` holds one number per row,
      `[1, O]` one per column, and both together are a scale of rank 1. With
      `kind.group = g` a factor may have one row per group of the contracted
      axis (the last but one): `[K / g, O]`.
    mask: {0, 1}, broadcasts against `value`: the elements of the term; `None`
      is all.
    kind: width, alphabet, density and group; `None` for a float term.
  """

  value: jax.Array
  scale: "jax.Array | tuple[jax.Array, ...] | None" = None
  mask: jax.Array | None = None
  kind: bits_lib.BitTag | None = None

  @property
  def masked(self) -> jax.Array:
    """`value * mask`."""
    if self.mask is None:
      return self.value
    mask = self.mask.astype(self.value.dtype)
    return self.value * bits_lib.tag(mask, 1, alphabet=(0, 1))

  @property
  def factors(self) -> tuple[jax.Array, ...]:
    """The scale as a tuple of factors; group factors as they are stored."""
    if self.scale is None:
      return ()
    several = isinstance(self.scale, (tuple, list))
    return tuple(
      f if hasattr(f, "shape") else jnp.asarray(f)
      for f in (self.scale if several else (self.scale,))
    )

  @property
  def full_factors(self) -> tuple[jax.Array, ...]:
    """The factors with all axes of the values; group factors repeated.

    For values `[N, H, W, C]`, a factor `[C]` becomes `[1, 1, 1, C]`; a scalar
    stays a scalar.
    """
    return tuple(
      self.ranked(
        jnp.repeat(f, self.kind.group, axis=-2) if self.is_of_groups(f) else f
      )
      for f in self.factors
    )

  def ranked(self, factor: jax.Array) -> jax.Array:
    """A factor with as many axes as the values; a scalar stays a scalar."""
    missing = self.value.ndim - factor.ndim if factor.ndim else 0
    return factor.reshape(*(1,) * missing, *factor.shape)

  @property
  def full_scale(self) -> jax.Array | None:
    """The product of `full_factors`; `None` without one."""
    factors = self.full_factors
    return functools.reduce(jnp.multiply, factors) if factors else None

  def is_of_groups(self, factor: jax.Array) -> bool:
    """Whether a factor is stored per group of more than one element."""
    if self.kind is None or self.kind.group < 2 or factor.ndim < 2:
      return False
    return factor.shape[-2] * self.kind.group == self.value.shape[-2]

  @property
  def is_grouped(self) -> bool:
    """Whether any factor is stored per group."""
    return any(map(self.is_of_groups, self.factors))

  def dequantize(self) -> jax.Array:
    """`value * mask * scale`, dtype of `value`."""
    if not self.factors:
      return self.masked
    return (self.masked * self.full_scale).astype(self.value.dtype)


@nnx.register_data_type
@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=("terms", "shift", "surrogate"),
  meta_fields=(),
)
@dataclasses.dataclass(frozen=True)
class Quantized:
  """A sum of terms, and the surrogate that receives its gradient.

  May be an attribute of an `nnx.Module`; `bnnjax.layers.quantized_weight`
  stores one as variables. `validate` checks the invariants:

  * there is a term, and all values have one shape and one floating dtype;
  * the values of a term are in its alphabet, or are at most `2^bits` numbers;
  * factors, masks and the shift broadcast against the values, group factors
    with their rows repeated;
  * a mask holds 0 and 1, and its mean is the density of its term's `kind`;
  * a surrogate has the shape of the values.

  Attributes:
    terms: at least one `Term`, all values of one shape.
    shift: broadcasts against the values; `None` is 0.
    surrogate: the dequantized tensor as a function of latent tensor and
      parameters. Contractions read values and scales alone, and send the
      cotangent of the dequantized tensor to the surrogate.
  """

  terms: tuple[Term, ...]
  shift: jax.Array | None = None
  surrogate: jax.Array | None = None

  @property
  def shape(self) -> tuple[int, ...]:
    return self.terms[0].value.shape

  @property
  def dtype(self):
    return self.terms[0].value.dtype

  def dequantize(self) -> jax.Array:
    """`sum_k scale_k value_k + shift`, with the surrogate gradient."""
    total = sum(term.dequantize() for term in self.terms)
    if self.shift is not None:
      total = (total + self.shift).astype(self.dtype)
    if self.surrogate is None:
      return total
    return graft(total, self.surrogate)

  @property
  def T(self) -> "Quantized":
    """The transposed matrix; group scales are repeated for each row."""

    def turned(x):
      return None if x is None else jnp.swapaxes(jnp.atleast_2d(x), 0, 1)

    terms = []
    for t in self.terms:
      kind = t.kind and dataclasses.replace(t.kind, group=0)
      factors = tuple(map(turned, t.full_factors))
      terms.append(Term(turned(t.value), factors, turned(t.mask), kind))
    return Quantized(tuple(terms), turned(self.shift), turned(self.surrogate))

  def rows(self, ids: jax.Array) -> "Quantized":
    """Rows of a matrix, as of an embedding table: `[...] -> [..., O]`."""

    def picked(x):
      """Rows of an array, which may have one row for all."""
      if x is None or x.ndim < 2:
        return x
      return x[0] if x.shape[0] == 1 else x[ids]

    terms = []
    for t in self.terms:
      kind = t.kind and dataclasses.replace(t.kind, group=0)
      factors = tuple(map(picked, t.full_factors))
      terms.append(Term(t.value[ids], factors, picked(t.mask), kind))
    surrogate = self.surrogate
    surrogate = None if surrogate is None else surrogate[ids]
    return Quantized(tuple(terms), picked(self.shift), surrogate)

  def astype(self, dtype: Any) -> "Quantized":
    """Casts values and surrogate; scales and shift keep their dtypes."""
    terms = tuple(
      dataclasses.replace(t, value=t.value.astype(dtype)) for t in self.terms
    )
    surrogate = self.surrogate
    if surrogate is not None:
      surrogate = surrogate.astype(dtype)
    return dataclasses.replace(self, terms=terms, surrogate=surrogate)

  def validate(self) -> "Quantized":
    """Returns itself if the invariants of the class hold.

    Shapes and dtypes are checked under `jit`, too; values if they are known.

    Raises:
      ValueError: names the broken invariant.
    """
    if not isinstance(self.terms, tuple) or not self.terms:
      raise ValueError(
        f"A Quantized has a tuple of at least one term, got {self.terms!r}."
      )
    for number, term in enumerate(self.terms):
      quantized_check.check_term(
        f"Term {number} of a Quantized", term, self.terms[0].value
      )
    if self.shift is not None:
      quantized_check.check_fits(
        "The shift of a Quantized", self.shift.shape, self.shape
      )
    if self.surrogate is not None and self.surrogate.shape != self.shape:
      raise ValueError(
        "The surrogate of a Quantized has the shape of its values,"
        f" {self.shape}, got {self.surrogate.shape}."
      )
    return self


def as_quantized(x: "jax.Array | Quantized") -> Quantized:
  """A float array as one float term."""
  if isinstance(x, Quantized):
    return x
  return Quantized((Term(x),), surrogate=x)


def float_term(
  x: jax.Array, mask: jax.Array | None, density: Fraction, role: str
) -> Quantized:
  """A float tensor, or the elements of it that a mask keeps (outliers).

  Args:
    x: `[...]`.
    mask: {0, 1}, broadcasts against `x`; `None` keeps all.
    density: share of the elements that the mask keeps.
    role: of the tag, see `core.bits.tag`.
  """
  if mask is None:
    return as_quantized(x)
  kind = bits_lib.BitTag(bits_lib.dtype_bits(x.dtype), density=density)
  value = bits_lib.tag(x, kind, role=role)
  masked = x * mask.astype(x.dtype)
  return Quantized((Term(value, None, mask, kind),), surrogate=masked)


def graft(value: jax.Array, surrogate: jax.Array) -> jax.Array:
  """Forward: `value`. Backward: the cotangent goes to `surrogate` alone."""
  # The derivative of the cast casts the cotangent back.
  return _graft(value, surrogate.astype(value.dtype))


@jax.custom_vjp
def _graft(value, surrogate):
  del surrogate
  return value


_graft.defvjp(lambda value, surrogate: (value, None), lambda _, dy: (None, dy))
