"""Checks of the terms of a low-bit tensor, see `core.quantized.Quantized`."""

from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bnnjax.core.bits import BitTag


def density_of(mask: Any, shape: tuple[int, ...]) -> Fraction:
  """Share of the elements of `shape` that a concrete mask keeps."""
  kept = np.broadcast_to(np.asarray(mask) != 0, shape)
  return Fraction(int(kept.sum()), max(kept.size, 1))


def is_known(x: Any) -> bool:
  """Whether the numbers of an array are known: not traced, not a mere shape."""
  if isinstance(x, (np.ndarray, np.generic, bool, int, float, list)):
    return True
  is_array = isinstance(x, jax.Array) and not isinstance(x, jax.core.Tracer)
  return is_array and x.is_fully_addressable


def check_term(what: str, term: Any, first: jax.Array) -> None:
  """Raises if a `Term` breaks an invariant.

  Args:
    what: name of the term, for messages.
    term: the term.
    first: values of the first term of the sum.

  Raises:
    ValueError: names the invariant.
  """
  value = term.value
  if value.shape != first.shape or value.dtype != first.dtype:
    raise ValueError(
      f"{what} has values {value.dtype}{list(value.shape)}, and the first term"
      f" {first.dtype}{list(first.shape)}: all terms are of one shape and dtype."
    )
  if not jnp.issubdtype(value.dtype, jnp.floating):
    raise ValueError(
      f"{what} has values of {value.dtype}: they are low-bit numbers in a float"
      " container."
    )
  group = 0 if term.kind is None else term.kind.group
  if group > 1 and (value.ndim < 2 or value.shape[-2] % group):
    raise ValueError(
      f"{what} has groups of {group}, which have to divide the contracted axis"
      f" (the last but one) of its values {value.shape}."
    )
  for number, factor in enumerate(term.factors):
    shape = factor.shape
    if term.is_of_groups(factor):
      shape = (*shape[:-2], shape[-2] * group, shape[-1])
    check_fits(f"Factor {number} of {what}", shape, value.shape)
  if term.mask is not None:
    check_fits(f"The mask of {what}", term.mask.shape, value.shape)
    if is_known(term.mask):
      check_mask(what, term.mask)
      _check_density(what, term)
  if term.kind is not None and is_known(value):
    _check_values(what, np.asarray(value, np.float32), term.kind)


def check_mask(what: str, mask: Any) -> None:
  """Raises if a known mask holds other numbers than 0 and 1."""
  if not np.isin(np.asarray(mask, np.float32), (0, 1)).all():
    raise ValueError(f"The mask of {what} has to hold 0 and 1 only.")


def _check_density(what: str, term: Any) -> None:
  if term.kind is None:
    return
  kept = density_of(term.mask, term.value.shape)
  told = term.kind.density
  # One density may be declared for many layers, each of which rounds.
  if abs(kept - told) > Fraction(1, 100):
    raise ValueError(
      f"The mask of {what} keeps {float(kept):.4g} of the elements, its `kind`"
      f" says density {float(told):.4g}."
    )


def _check_values(what: str, value: np.ndarray, kind: BitTag) -> None:
  found = np.unique(value)
  if kind.alphabet is not None:
    wrong = found[~np.isin(found, kind.alphabet)]
    if wrong.size:
      raise ValueError(
        f"{what} has the value {wrong[0]:g}, which is not in its alphabet"
        f" {kind.alphabet}."
      )
  elif kind.bits < 24 and found.size > 2**kind.bits:
    raise ValueError(
      f"{what} has {found.size} different values, and its {kind.bits} bits"
      f" hold {2**kind.bits}."
    )


def check_fits(what: str, shape: tuple[int, ...], to: tuple[int, ...]) -> None:
  """Raises if a shape does not broadcast to that of the values."""
  if not fits(shape, to):
    raise ValueError(
      f"{what} has to broadcast against the values {tuple(to)}, got shape"
      f" {tuple(shape)}."
    )


def fits(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
  """Whether a shape broadcasts to another."""
  try:
    return np.broadcast_shapes(shape, to) == tuple(to)
  except ValueError:
    return False
