"""A low-bit tensor: a sum of scaled low-bit terms.

    x  ~  sum_k  scale_k * value_k * mask_k  + shift

Every method is a choice of terms; training, cost, packing and packed inference
all read this one type.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from bnnjax.core import bits as bits_lib


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
    scale: broadcasts against `value`; with `kind.group = g` its contracted axis
      (the last but one) is `g` times shorter than that of `value`. `None` is 1.
    mask: `[...]` of {0, 1}: which elements the term has; `None` is all.
    kind: width, alphabet, density and group; `None` for a float term.
  """

  value: jax.Array
  scale: jax.Array | None = None
  mask: jax.Array | None = None
  kind: bits_lib.BitTag | None = None

  @property
  def masked(self) -> jax.Array:
    """`value * mask`."""
    if self.mask is None:
      return self.value
    return self.value * bits_lib.tag(self.mask, 1, alphabet=(0, 1))

  @property
  def full_scale(self) -> jax.Array | None:
    """The scale, group scales repeated along the contracted axis."""
    if self.scale is None or not self.is_grouped:
      return self.scale
    return jnp.repeat(self.scale, self.kind.group, axis=-2)

  @property
  def is_grouped(self) -> bool:
    """Whether the scale is stored per group of more than one element."""
    return self.kind is not None and self.kind.group > 1

  def dequantize(self) -> jax.Array:
    """`scale * value * mask`, dtype of `value`."""
    if self.scale is None:
      return self.masked
    return (self.masked * self.full_scale).astype(self.value.dtype)


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=("terms", "shift", "surrogate"),
  meta_fields=(),
)
@dataclasses.dataclass(frozen=True)
class Quantized:
  """A sum of terms, and the path that its gradient takes.

  Attributes:
    terms: at least one `Term`, all values of one shape.
    shift: broadcasts against the values; `None` is 0.
    surrogate: the dequantized tensor as a function of latent tensor and
      parameters. Contractions send the cotangent of the dequantized tensor
      there and read values and scales only.
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


def as_quantized(x: "jax.Array | Quantized") -> Quantized:
  """A float array as one float term."""
  if isinstance(x, Quantized):
    return x
  return Quantized((Term(x),), surrogate=x)


def graft(value: jax.Array, surrogate: jax.Array) -> jax.Array:
  """Forward `value`; the whole cotangent goes to `surrogate`, in its dtype."""
  # The cast's own derivative brings the cotangent back.
  return _graft(value, surrogate.astype(value.dtype))


@jax.custom_vjp
def _graft(value, surrogate):
  del surrogate
  return value


_graft.defvjp(lambda value, surrogate: (value, None), lambda _, dy: (None, dy))
