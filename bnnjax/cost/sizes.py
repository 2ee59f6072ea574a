"""Model size under every convention in use, in bits.

A convention is a function of the stored arrays. Kernels are all arrays that a
dot or convolution reads; widths come from the tags.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

from bnnjax.core.registry import unknown
from bnnjax.cost.ledger import Parameter

Parameters = Sequence[Parameter]

_SHIFTS = frozenset(("bias", "beta", "mean", "running_mean"))


def _kernels(ps: Parameters) -> list[Parameter]:
  return [p for p in ps if p.role in ("kernel", "mask")]


def _trained(ps: Parameters) -> list[Parameter]:
  return [p for p in ps if p.trained]


def _size(ps: Parameters) -> int:
  return sum(p.size for p in ps)


def fused_batch_norm(ps: Parameters) -> int:
  """Numbers left when beta is fused with the mean, gamma with the variance.

  A term without its partner is kept: a norm without gamma still has its
  variance.
  """
  terms: dict[tuple[str, bool], int] = {}
  for p in ps:
    if p.role in ("bn", "bn_stat"):
      key = (p.module, p.name in _SHIFTS)
      terms[key] = max(terms.get(key, 0), p.size)
  return sum(terms.values())


def weights(ps: Parameters) -> int:
  """Weights of the network: elements of its kernels and embeddings.

  Sparse kernels of one shape in one module are terms of one weight as long as
  their densities do not exceed 1: 90 % at 1 bit and 10 % at 8 are one. Terms
  that say so are of one weight whatever their densities.
  """
  total, groups, terms = 0, {}, {}
  for p in ps:
    if p.role in ("kernel", "embedding"):
      if p.weight:
        terms[p.weight] = max(terms.get(p.weight, 0), p.held or p.size)
        continue
      key = (p.module, p.shape)
      if p.density == 1:
        total += p.held or p.size
      else:
        groups[key] = groups.get(key, Fraction(0)) + p.density
  return (
    total
    + sum(terms.values())
    + sum(
      math.ceil(density) * math.prod(shape)
      for (_, shape), density in groups.items()
    )
  )


def mask_bits(ps: Parameters) -> int:
  """Bits of the masks of sparse terms that the program has no array for.

  One an element and term; the last term of a partition (densities that sum to
  1, in one parameter or in several of one module and shape) needs none.
  """
  groups: dict[tuple[str, tuple[int, ...]], list[Fraction]] = {}
  for p in ps:
    if p.role in ("kernel", "embedding") and p.densities:
      groups.setdefault((p.module, p.shape), []).extend(p.densities)
  return sum(
    math.prod(shape) * (len(terms) - (len(terms) > 1 and sum(terms) == 1))
    for (_, shape), terms in groups.items()
  )


def row_bits(p: Parameter) -> int:
  """Bits of an array whose rows are packed into 32-bit words."""
  if not p.tagged or not p.row_length or p.role == "mask":
    return math.ceil(p.size * p.bits)
  if p.held:  # `bits` are those of a word
    each = math.ceil(p.row_length * p.bits * p.size / Fraction(32 * p.held))
    return 32 * each * (p.held // p.row_length)
  words = math.ceil(p.row_length * p.bits / Fraction(32))
  return 32 * words * (p.size // p.row_length)


def _deployed(ps: Parameters) -> int:
  matrices = [p for p in ps if p.role in ("kernel", "mask", "embedding")]
  rest = [p for p in ps if p.role not in ("kernel", "mask", "embedding")]
  wide = sum(p.size * p.dtype_bits for p in rest)
  return sum(map(row_bits, matrices)) + mask_bits(ps) + wide


def _at_width(ps: Parameters, wide: int) -> int:
  """Arrays at their tag's width, untagged ones `wide`."""
  return sum(p.size * (p.bits if p.tagged else wide) for p in ps)


def _larq(ps: Parameters, wide: int) -> int:
  own = ("kernel", "mask", "bn")
  rest = sum(p.size for p in _trained(ps) if p.role not in own)
  return _at_width(_kernels(ps), wide) + wide * (rest + fused_batch_norm(ps))


def _hawq(ps: Parameters) -> int:
  kernels = _kernels(ps)
  if any(p.tagged for p in kernels):
    return _at_width(kernels, 32)
  return _size(_trained(ps)) * 32


def _no_batch_norm(ps: Parameters, wide: int) -> int:
  biases = [p for p in ps if p.role == "bias"]
  return _at_width(_kernels(ps), wide) + wide * _size(biases)


CONVENTIONS: dict[str, tuple[Callable[[Parameters], int], str]] = {
  "packed": (
    lambda ps: sum(p.size * p.bits for p in _kernels(ps)),
    "kernels only, at their tag's (else dtype's) width: the bits of all terms"
    " times their density, and masks that the program reads; no padding, no"
    " scales",
  ),
  "packed_rows": (
    lambda ps: sum(map(row_bits, _kernels(ps))),
    "as packed, each row of a tagged kernel padded to 32-bit words",
  ),
  "deployed": (
    _deployed,
    "packed rows of kernels and embeddings, a bit per element for the mask of"
    " a sparse term (stored once, as its own array or beside it), everything"
    " else (scales that are computed from the weights, norms, statistics too) at"
    " its dtype",
  ),
  "larq": (
    lambda ps: _larq(ps, 32),
    "tagged kernels at their width, other kernels, biases and the rest 32 bit,"
    " batch norm 2 floats a channel (fused)",
  ),
  "larq_int8": (lambda ps: _larq(ps, 8), "as larq, with 8 bits in place of 32"),
  "aqt": (
    lambda ps: _at_width(_kernels(ps), 16),
    "kernels only, at w_bits, untagged ones at 16 bits (google/aqt memory_cost)",
  ),
  "hawq": (
    _hawq,
    "kernels only, at w_bits; a model without tags: every parameter at 32 bits",
  ),
  "fracbnn": (
    lambda ps: _no_batch_norm(ps, 8),
    "tagged kernels at their width, other kernels and biases 8 bit, no batch"
    " norm",
  ),
  "fracbnn_float32": (
    lambda ps: _no_batch_norm(ps, 32),
    "as fracbnn, with 32 bits in place of 8",
  ),
  "bibert": (
    lambda ps: _at_width(_trained(ps), 32),
    "tagged kernels and embeddings at their width, every other parameter 32"
    " bit",
  ),
  "half": (
    lambda ps: _at_width(_trained(ps), 16),
    "as bibert, with 16 bits in place of 32 (FBI-LLM, Bi-Mamba)",
  ),
  "float32": (
    lambda ps: 32 * _size(_trained(ps)),
    "every parameter at 32 bits",
  ),
}


def weight_bits(ps: Parameters, convention: str) -> int:
  """Bits of the stored arrays under a convention.

  Raises:
    ValueError: unknown convention.
  """
  if not isinstance(convention, str) or convention not in CONVENTIONS:
    raise unknown("size convention", convention, CONVENTIONS)
  return math.ceil(CONVENTIONS[convention][0](ps))
