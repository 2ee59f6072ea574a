"""Terms of a `QuantizedWeight`, as they are given."""

import dataclasses
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bnnjax.core import bits as bits_lib
from bnnjax.core.binarizer import Binarizer
from bnnjax.core.quantized_check import check_mask, density_of, is_known
from bnnjax.core.scale import of_masked
from bnnjax.layers.binarize import Binarize


@dataclasses.dataclass(frozen=True)
class WeightTerm:
  """One term of a `QuantizedWeight`.

  Attributes:
    values: `[...]`, the latent weight if there is a `binarizer`, else low-bit
      numbers.
    binarizer: spec or `Binarizer` of a latent weight; `"float"` keeps it
      unchanged (sparse outliers). `None`: `values` are low-bit, of this `kind`.
    scale: a factor or a tuple of factors, see `bnnjax.core.quantized.Term`.
      With a latent weight it is the initial value of a `learned` scale.
    mask: bool or {0, 1}, broadcasts against `values`: the elements of the term.
    complement: whether the term has the elements outside of `mask` instead.
      (Not needed for concrete masks: complements are detected.)
    density: share of the elements that the term has, by default that of the
      mask. Required under `jit`, where the mask is not known.
    kind: width, alphabet and group of low-bit values.
    learned: whether the factors of low-bit values are trained.
    pack: whether values in {-1, +1} are stored as bits, in words along the
      contracted axis (the last but one).
  """

  values: Any
  binarizer: "str | Binarizer | None" = None
  scale: Any = None
  mask: Any = None
  complement: bool = False
  density: "float | Fraction | None" = None
  kind: bits_lib.BitTag | None = None
  learned: bool = False
  pack: bool = False


def density(what: str, term: WeightTerm, shape: tuple[int, ...]) -> Fraction:
  """Share of the elements that a term has."""
  if term.density is not None:
    if isinstance(term.density, str) or not 0 < term.density <= 1:
      raise ValueError(
        f"`density` of {what} must be in (0, 1], got {term.density!r}."
      )
    return Fraction(term.density).limit_denominator(2**20)
  if term.mask is None:
    return Fraction(1) if term.kind is None else term.kind.density
  if not is_known(term.mask):
    raise ValueError(
      f"{what} of a QuantizedWeight has a mask that is not known while the"
      " program is traced: give `density=`, the share of the elements that the"
      " term has."
    )
  share = density_of(term.mask, shape)
  share = 1 - share if term.complement else share
  if not share:
    raise ValueError(f"The mask of {what} keeps no element.")
  return share


def are_equal(a: Any, b: Any) -> bool:
  """Whether two masks are concrete and keep the same elements."""
  known = is_known(a) and is_known(b) and jnp.shape(a) == jnp.shape(b)
  return known and bool(np.array_equal(np.asarray(a) != 0, np.asarray(b) != 0))


def are_complements(a: Any, b: Any) -> bool:
  """Whether two masks are concrete and complement each other."""
  return is_known(a) and is_known(b) and are_equal(np.asarray(a) == 0, b)


def check(what: str, term: WeightTerm) -> None:
  """Raises if a field would be ignored, or a mask is invalid.

  Raises:
    ValueError: names the field.
  """
  if term.binarizer is not None:
    for name in ("kind", "learned", "pack"):
      if getattr(term, name):
        raise ValueError(
          f"`{name}` of {what} is for values that are already low-bit, and its"
          f" binarizer {term.binarizer!r} computes them from a latent weight:"
          " leave it out (a spec with '| learned' has a trained scale)."
        )
  if term.mask is None:
    if term.complement:
      raise ValueError(f"`complement` of {what} needs a mask: give one.")
  elif is_known(term.mask):
    check_mask(what, term.mask)


def as_floats(x: Any) -> jax.Array:
  """A scale as an array of floats."""
  x = jnp.asarray(x)
  floats = jnp.issubdtype(x.dtype, jnp.floating)
  return x if floats else x.astype(jnp.float32)


def start_scale(binarize: Binarize, term: WeightTerm) -> None:
  """Initializes a learned scale from a given one, or a term's elements."""
  variable, made = binarize.params.get("scale"), binarize.binarizer
  scale = term.scale
  if scale is None:
    if variable is None or term.mask is None:
      return
    scale = _masked_start(made, term)
  if variable is None:
    raise ValueError(
      "`scale` of a latent term is where a learned scale starts, and the scale"
      f" {'of this term is ' + repr(made.scale.name) if made.scale else 'is missing'}:"
      " use '| learned' in its spec."
    )
  variable[...] = jnp.broadcast_to(
    jnp.asarray(scale, variable.dtype), variable.shape
  )


def _masked_start(made: Binarizer, term: WeightTerm) -> jax.Array:
  """The initial learned scale of the elements under the mask alone."""
  x = jnp.asarray(term.values)
  mask = jnp.asarray(term.mask).astype(bool) ^ term.complement
  start = lambda x: made.init(x)[0]["scale"]  # noqa: E731
  # `affine` measures a spread, 0 for a constant: it starts from all elements.
  measures = start(jnp.ones_like(x)) > 0
  return jnp.where(measures, of_masked(start, x, mask), start(x))


def is_whole(values: jax.Array, kind: bits_lib.BitTag) -> bool:
  """Whether int8 can hold the values."""
  if kind.alphabet is not None:
    return all(v == int(v) and abs(v) < 128 for v in kind.alphabet)
  if jnp.issubdtype(values.dtype, jnp.integer):
    return kind.bits <= 8
  if not is_known(values):
    return False
  whole = np.asarray(values)
  fits = np.all(whole == np.round(whole)) and np.all(np.abs(whole) < 128)
  return bool(fits)
