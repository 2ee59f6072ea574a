"""Windows, strides and paddings of convolutions."""

import dataclasses

import jax
import jax.numpy as jnp

from bnnjax.core import registry
from bnnjax.core.quantized import Quantized, Term


@dataclasses.dataclass(frozen=True)
class Geometry:
  """What a convolution does to the spatial axes.

  Attributes:
    window, strides, dilation: one number a spatial axis.
    padding: `"SAME"`, `"VALID"` or pairs.
  """

  window: tuple[int, ...] = ()
  strides: tuple[int, ...] = ()
  padding: str | tuple[tuple[int, int], ...] = ()
  dilation: tuple[int, ...] = ()


def per_axis(name, value, window) -> tuple[int, ...]:
  value = (value,) * len(window) if isinstance(value, int) else tuple(value)
  if len(value) != len(window) or min(value) < 1:
    raise ValueError(
      f"`{name}` must be an int >= 1, or one for each of {len(window)} spatial"
      f" axes, got {value}."
    )
  return value


def read_padding(padding, window):
  if isinstance(padding, int):
    return ((padding, padding),) * len(window)
  if isinstance(padding, str):
    if padding not in ("SAME", "VALID"):
      raise registry.unknown("padding", padding, ("SAME", "VALID"))
    return padding
  pairs = tuple(tuple(p) for p in padding)
  if len(pairs) != len(window) or any(len(p) != 2 for p in pairs):
    raise ValueError(
      f"`padding` needs a (low, high) pair for each of {len(window)} spatial"
      f" axes, got {padding!r}."
    )
  return pairs


def pad(x: "jax.Array | Quantized", pairs, value: int):
  """Pads the spatial axes of the low-bit values (or of a float map)."""
  widths = ((0, 0), *pairs, (0, 0))

  def wider(array, constant):
    return jnp.pad(array, widths, constant_values=constant)

  if not isinstance(x, Quantized):
    return wider(x, value)
  for term in x.terms:
    if term.scale is not None and any(n > 1 for n in term.scale.shape[1:-1]):
      raise ValueError(
        "A `pad_value` other than 0 needs a scale that is the same at all"
        f" positions: got scale {term.scale.shape}."
      )
  terms = tuple(
    Term(
      wider(t.value, value),
      t.scale,
      None if t.mask is None else wider(t.mask, 1),
      t.kind,
    )
    for t in x.terms
  )
  return Quantized(terms, x.shift, wider(x.surrogate, 0))
