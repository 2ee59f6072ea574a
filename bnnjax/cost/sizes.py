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
  their densities do not exceed 1: 90 % at 1 bit and 10 % at 8 are one. Declared
  terms of a weight are one weight, whatever their densities.
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

  One bit per element and term; the last term of a partition (densities that sum
  to 1, in one parameter or in several of one module and shape) needs none.
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


def _at_width(ps: Parameters, wide: int) -> int:
  """Arrays at their tag's width, untagged ones `wide`."""
  return sum(p.size * (p.bits if p.tagged else wide) for p in ps)


Bits = Callable[[Parameters], int]
CONVENTIONS: dict[str, tuple[Bits, str]] = {}


def convention(bits: Bits) -> Bits:
  """Registers a convention by its name, with its docstring as the definition."""
  CONVENTIONS[bits.__name__] = (bits, " ".join((bits.__doc__ or "").split()))
  return bits


@convention
def packed(ps: Parameters) -> int:
  """kernels only, at their tag's (else dtype's) width: the bits of all terms
  times their density, and masks that the program reads; no padding, no scales
  """
  return sum(p.size * p.bits for p in _kernels(ps))


@convention
def packed_rows(ps: Parameters) -> int:
  """as packed, each row of a tagged kernel padded to 32-bit words"""
  return sum(map(row_bits, _kernels(ps)))


@convention
def deployed(ps: Parameters) -> int:
  """packed rows of kernels and embeddings, a bit per element for the mask of a
  sparse term (stored once, as its own array or beside it), everything else
  (scales that are computed from the weights, norms, statistics too) at its
  dtype
  """
  matrices = [p for p in ps if p.role in ("kernel", "mask", "embedding")]
  rest = [p for p in ps if p.role not in ("kernel", "mask", "embedding")]
  wide = sum(p.size * p.dtype_bits for p in rest)
  return sum(map(row_bits, matrices)) + mask_bits(ps) + wide


@convention
def larq(ps: Parameters, wide: int = 32) -> int:
  """tagged kernels at their width, other kernels, biases and the rest 32 bit,
  batch norm 2 floats a channel (fused)
  """
  own = ("kernel", "mask", "bn")
  rest = _size([p for p in _trained(ps) if p.role not in own])
  return _at_width(_kernels(ps), wide) + wide * (rest + fused_batch_norm(ps))


@convention
def larq_int8(ps: Parameters) -> int:
  """as larq, with 8 bits in place of 32"""
  return larq(ps, 8)


@convention
def aqt(ps: Parameters) -> int:
  """kernels only, at w_bits, untagged ones at 16 bits (google/aqt memory_cost)"""
  return _at_width(_kernels(ps), 16)


@convention
def hawq(ps: Parameters) -> int:
  """kernels only, at w_bits; a model without tags: every parameter at 32 bits"""
  kernels = _kernels(ps)
  if any(p.tagged for p in kernels):
    return _at_width(kernels, 32)
  return float32(ps)


@convention
def fracbnn(ps: Parameters, wide: int = 8) -> int:
  """tagged kernels at their width, other kernels and biases 8 bit, no batch
  norm
  """
  biases = [p for p in ps if p.role == "bias"]
  return _at_width(_kernels(ps), wide) + wide * _size(biases)


@convention
def fracbnn_float32(ps: Parameters) -> int:
  """as fracbnn, with 32 bits in place of 8"""
  return fracbnn(ps, 32)


@convention
def bibert(ps: Parameters) -> int:
  """tagged kernels and embeddings at their width, every other parameter 32 bit"""
  return _at_width(_trained(ps), 32)


@convention
def half(ps: Parameters) -> int:
  """as bibert, with 16 bits in place of 32 (FBI-LLM, Bi-Mamba)"""
  return _at_width(_trained(ps), 16)


@convention
def float32(ps: Parameters) -> int:
  """every parameter at 32 bits"""
  return 32 * _size(_trained(ps))


def weight_bits(ps: Parameters, convention: str) -> int:
  """Bits of the stored arrays under a convention.

  Raises:
    ValueError: unknown convention.
  """
  if not isinstance(convention, str) or convention not in CONVENTIONS:
    raise unknown("size convention", convention, CONVENTIONS)
  return math.ceil(CONVENTIONS[convention][0](ps))
