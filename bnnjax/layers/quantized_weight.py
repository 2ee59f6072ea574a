"""A low-bit weight as a module: its terms are variables.

    w = sum_k  mask_k * value_k * prod(factors_k)  + shift

The values of a term come from a latent weight and its binarizer (in training),
or are already low-bit (after training): int8, or signs packed into words.
Widths, alphabets, groups and the packed axis are static.
"""

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core import bits as bits_lib
from bnnjax.core import packing
from bnnjax.core.binarizer import Binarizer
from bnnjax.core.estimator import FLOAT
from bnnjax.core.method import layer_options
from bnnjax.core.progress import Mode
from bnnjax.core.quantized import Quantized, Term
from bnnjax.layers import weight_terms
from bnnjax.layers.binarize import Binarize
from bnnjax.layers.mode import ModeAware
from bnnjax.layers.variables import (
  BinarizerParam,
  BinaryWeight,
  LatentWeight,
  weight_variable,
)
from bnnjax.layers.weight_terms import WeightTerm


class TermValue(nnx.Variable):
  """Low-bit values of a term: int8, or signs in uint32 words; not trained."""


class TermScale(nnx.Variable):
  """A factor of a term, or the shift of a weight; not trained."""

  role = "scale"  # read by `cost`


class TermMask(nnx.Variable):
  """The elements of a term, bool."""

  role = "mask"  # read by `cost`


@dataclasses.dataclass(frozen=True)
class _Plan:
  """The static part of a term, and the indices of its variables."""

  kind: bits_lib.BitTag | None
  value: int
  binarizer: int | None = None
  factors: tuple[int, ...] = ()
  mask: int | None = None
  complement: bool = False
  density: Fraction = Fraction(1)
  words: int = 0  # signs along the packed axis; 0: not packed


class QuantizedWeight(ModeAware):
  """A sum of terms that serves as the weight of a layer.

      salient = jnp.abs(w) > jnp.quantile(jnp.abs(w), 0.9)
      weight = QuantizedWeight(
        WeightTerm(w, "ste|channel_l1", mask=~salient),
        WeightTerm(w, "symmetric(bits=8)|channel_max", mask=salient),
      )
      layer = Linear(*w.shape, weight=weight, rngs=rngs)  # PB-LLM

  Terms with the same array share one latent weight. Equal masks, and masks that
  complement each other, are stored once.

  Args:
    *terms: at least one; all values have one shape.
    shift: added to the sum, broadcasts against the values.
    learned: whether the shift is trained.
    dtype: of the result of a call.

  Attributes:
    values: variables of the terms: `LatentWeight`, or `TermValue`.
    factors: `TermScale`, or `BinarizerParam` where they are trained.
    masks: `TermMask`.
    binarizers: of the latent weights, with their own parameters.
    shift: like a factor, or `None`.

  Raises:
    ValueError: terms of different shapes; values outside their kind; a mask of
      unknown density; anything else that violates an invariant of `Quantized`.
  """

  def __init__(
    self,
    *terms: WeightTerm,
    shift: Any = None,
    learned: bool = False,
    dtype: Any = jnp.float32,
  ):
    if not terms or not all(isinstance(t, WeightTerm) for t in terms):
      raise TypeError(
        f"A QuantizedWeight is made of `WeightTerm`s, got {terms!r}. For a"
        " Quantized use `QuantizedWeight.of`."
      )
    self.values, self.factors = nnx.List(), nnx.List()
    self.masks, self.binarizers = nnx.List(), nnx.List()
    self.shape, self.dtype = tuple(jnp.shape(terms[0].values)), dtype
    self.plans = ()
    latents: dict[int, int] = {}  # id of an array -> its index in `values`
    masks: list[Any] = []
    for number, term in enumerate(terms):
      self._add(f"Term {number}", term, latents, masks)
    variable = BinarizerParam if learned else TermScale
    self.shift = (
      None if shift is None else variable(weight_terms.as_floats(shift))
    )
    for number, value in enumerate(self.values):
      value.set_metadata(term=number)
    self().validate()

  @classmethod
  def of(
    cls, quantized: Quantized, *, learned: bool = False, pack: bool = False
  ) -> "QuantizedWeight":
    """A `Quantized` as variables, e.g. from post-training quantization.

    Args:
      quantized: has integer values, or a float term; its surrogate is dropped.
      learned: whether factors and shift are trained.
      pack: whether terms with values in {-1, +1} are stored as packed bits.
    """
    quantized.validate()
    terms = []
    for term in quantized.terms:
      width, density = bits_lib.dtype_bits(term.value.dtype), None
      if term.kind is not None:
        density = term.kind.density
      kind = term.kind or bits_lib.BitTag(width)
      bits = pack and kind.alphabet == (-1, 1)
      fields = {"mask": term.mask, "density": density, "kind": kind}
      fields |= {"scale": term.scale, "learned": learned, "pack": bits}
      terms.append(WeightTerm(term.value, **fields))
    shift, dtype = quantized.shift, quantized.dtype
    return cls(*terms, shift=shift, learned=learned, dtype=dtype)

  def __call__(self, mode: Mode | None = None) -> Quantized:
    """The weight; gradients flow to latent weights and learned factors."""
    terms, shifts, surrogates = [], [], []
    for plan in self.plans:
      term, shift, surrogate = self._term(plan, mode)
      terms.append(term)
      shifts.append(shift)
      surrogates.append(surrogate)
    if self.shift is not None:
      shift = self.shift[...]
      shifts.append(shift)
      if isinstance(self.shift, BinarizerParam):
        shift = jnp.broadcast_to(shift, self.shape)
        surrogates.append(shift.astype(self.dtype))
    return Quantized(tuple(terms), _sum(shifts), _sum(surrogates))

  def _term(self, plan: _Plan, mode: Mode | None):
    """A term, its shift, and its trained part as a dequantized tensor."""
    value = self.values[plan.value][...]
    mask = None if plan.mask is None else self.masks[plan.mask][...]
    if plan.complement:
      mask = ~mask
    if plan.binarizer is not None:
      binarize = self.binarizers[plan.binarizer]
      of_term = {} if mask is None else {"mask": mask, "density": plan.density}
      got = binarize(value.astype(self.dtype), mode, **of_term)
      shift = got.shift
      if shift is not None and mask is not None:
        shift = shift * mask  # only elements of the term are shifted
      return got.terms[0], shift, got.surrogate
    if plan.words:
      value = packing.unpack_signs(value, plan.words, axis=-2, dtype=self.dtype)
    value = value.astype(self.dtype)
    variables = [self.factors[i] for i in plan.factors]
    factors = tuple(v[...] for v in variables)
    term = Term(
      bits_lib.tag(value, plan.kind, role="weight"), factors, mask, plan.kind
    )
    learned = any(isinstance(v, BinarizerParam) for v in variables)
    return term, None, term.dequantize() if learned else None

  def _add(self, what: str, term: WeightTerm, latents, masks) -> None:
    if jnp.shape(term.values) != self.shape:
      raise ValueError(
        f"{what} of a QuantizedWeight has values of shape"
        f" {jnp.shape(term.values)}, the first term {self.shape}."
      )
    weight_terms.check(what, term)
    mask, complement = self._mask(term, masks)
    density = weight_terms.density(what, term, self.shape)
    where = {"mask": mask, "complement": complement, "density": density}
    latent = term.binarizer is not None
    plan = self._latent(term, latents) if latent else self._fixed(what, term)
    if plan.kind is not None:
      kind = dataclasses.replace(plan.kind, density=density)
      plan = dataclasses.replace(plan, kind=kind)
    self.plans = (*self.plans, dataclasses.replace(plan, **where))

  def _mask(self, term: WeightTerm, masks) -> tuple[int | None, bool]:
    """Index of a term's mask, and whether the term has its complement."""
    if term.mask is None:
      return None, False
    for number, other in enumerate(masks):
      if other is term.mask or weight_terms.are_equal(other, term.mask):
        return number, term.complement
      if weight_terms.are_complements(other, term.mask):
        return number, not term.complement
    masks.append(term.mask)
    self.masks.append(TermMask(jnp.asarray(term.mask).astype(bool)))
    return len(masks) - 1, term.complement

  def _latent(self, term: WeightTerm, latents) -> _Plan:
    """Adds a term whose values come from a latent weight."""
    binarizer = term.binarizer
    if binarizer == "float":
      binarizer = Binarizer(FLOAT)
    binarize = Binarize(binarizer, "weight", jnp.asarray(term.values))
    if binarize.binarizer is None:  # the method keeps weights float
      binarize = Binarize(Binarizer(FLOAT), "weight", jnp.asarray(term.values))
    weight_terms.start_scale(binarize, term)
    made, weight = binarize.binarizer, jnp.asarray(term.values)
    if own := layer_options(made.method):
      raise ValueError(
        f"The method {made.method!r} brings {own} for the layer, which a term"
        " does not have: give these to the layer, and only the spec of the"
        " weight to the term (`bnnjax list` shows it)."
      )
    if id(term.values) not in latents:
      latents[id(term.values)] = len(self.values)
      self.values.append(weight_variable(weight, made))
    place = latents[id(term.values)]
    if isinstance(self.values[place], BinaryWeight) == made.latent and (
      isinstance(self.values[place], LatentWeight) and not made.is_float
    ):
      raise ValueError(
        "Two terms of one array need the same kind of variable: one binarizer"
        " reads a latent weight, the other ('bop') has none. Give each its own"
        " array."
      )
    if not made.is_float and not isinstance(self.values[place], LatentWeight):
      self.values[place] = weight_variable(weight, made)
    self.binarizers.append(binarize)
    return _Plan(None, place, len(self.binarizers) - 1)

  def _fixed(self, what: str, term: WeightTerm) -> _Plan:
    """Adds a term whose values are already low-bit."""
    kind, values = term.kind, jnp.asarray(term.values)
    if not isinstance(kind, bits_lib.BitTag):
      raise ValueError(
        f"{what} of a QuantizedWeight has neither a `binarizer` for a latent"
        " weight nor the `kind` of low-bit values, e.g. BitTag(1, (-1, 1))."
      )
    dense = dataclasses.replace(kind, density=Fraction(1))
    Quantized((Term(values.astype(jnp.float32), kind=dense),)).validate()
    words = 0
    if term.pack:
      if kind.alphabet != (-1, 1) or values.ndim < 2:
        raise ValueError(
          f"{what} of a QuantizedWeight: only values in {{-1, +1}} with at"
          f" least two axes are packed, got {kind} of shape {values.shape}."
        )
      words = values.shape[-2]
      values = packing.pack_signs(values.astype(jnp.float32), axis=-2)
    elif weight_terms.is_whole(values, kind):
      values = values.astype(jnp.int8)
    variable = BinarizerParam if term.learned else TermScale
    first = len(self.factors)
    for factor in Term(values, term.scale).factors:
      self.factors.append(variable(weight_terms.as_floats(factor)))
    value = TermValue(values)
    if words:
      value.set_metadata(holds=Fraction(words, values.shape[-2]))
    self.values.append(value)
    places = tuple(range(first, len(self.factors)))
    return _Plan(kind, len(self.values) - 1, factors=places, words=words)


def _sum(arrays: Sequence[jax.Array | None]) -> jax.Array | None:
  found = [x for x in arrays if x is not None]
  return sum(found[1:], found[0]) if found else None
