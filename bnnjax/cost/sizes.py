"""Model size under every convention in use, in bits.

A convention is a function of the stored arrays. `kernel` below includes every
array that is read by a dot or convolution; widths come from the tags.
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


def _rest(ps: Parameters) -> list[Parameter]:
  """Trained arrays other than kernels and batch norms."""
  own = ("kernel", "mask", "bn")
  return [p for p in ps if p.trained and p.role not in own]


def _width(p: Parameter, otherwise: int) -> int:
  """The tag's width, or `otherwise`."""
  return p.bits if p.tagged else otherwise


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


def _packed(ps: Parameters) -> int:
  return math.ceil(sum(p.size * p.bits for p in _kernels(ps)))


def row_bits(p: Parameter) -> int:
  """Bits of an array whose rows are packed into 32-bit words."""
  if not p.tagged or not p.row_length or p.role == "mask":
    return math.ceil(p.size * p.bits)
  if p.held:  # `bits` are those of a word
    each = math.ceil(p.row_length * p.bits * p.size / Fraction(32 * p.held))
    return 32 * each * (p.held // p.row_length)
  words = math.ceil(p.row_length * p.bits / Fraction(32))
  return 32 * words * (p.size // p.row_length)


def _packed_rows(ps: Parameters) -> int:
  return sum(row_bits(p) for p in _kernels(ps))


def _deployed(ps: Parameters) -> int:
  matrices = [p for p in ps if p.role in ("kernel", "mask", "embedding")]
  rest = [p for p in ps if p.role not in ("kernel", "mask", "embedding")]
  wide = sum(p.size * p.dtype_bits for p in rest)
  return sum(map(row_bits, matrices)) + mask_bits(ps) + wide


def _larq(ps: Parameters, wide: int = 32) -> int:
  kernels = sum(p.size * _width(p, wide) for p in _kernels(ps))
  rest = sum(p.size for p in _rest(ps))
  return kernels + wide * (rest + fused_batch_norm(ps))


def _larq_int8(ps: Parameters) -> int:
  return _larq(ps, 8)


def _aqt(ps: Parameters) -> int:
  return sum(p.size * _width(p, 16) for p in _kernels(ps))


def _hawq(ps: Parameters) -> int:
  if any(p.tagged for p in _kernels(ps)):
    return sum(p.size * _width(p, 32) for p in _kernels(ps))
  return 32 * sum(p.size for p in ps if p.trained)


def _no_batch_norm(ps: Parameters, wide: int) -> int:
  kernels = sum(p.size * _width(p, wide) for p in _kernels(ps))
  return kernels + wide * sum(p.size for p in ps if p.role == "bias")


def _fracbnn(ps: Parameters) -> int:
  return _no_batch_norm(ps, 8)


def _fracbnn_float32(ps: Parameters) -> int:
  return _no_batch_norm(ps, 32)


def _bibert(ps: Parameters, wide: int = 32) -> int:
  return sum(p.size * _width(p, wide) for p in ps if p.trained)


def _half(ps: Parameters) -> int:
  return _bibert(ps, 16)


def _float32(ps: Parameters) -> int:
  return 32 * sum(p.size for p in ps if p.trained)


CONVENTIONS: dict[str, tuple[Callable[[Parameters], int], str]] = {
  "packed": (
    _packed,
    "kernels only, at their tag's (else dtype's) width: the bits of all terms"
    " times their density, and masks that the program reads; no padding, no"
    " scales",
  ),
  "packed_rows": (
    _packed_rows,
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
    _larq,
    "tagged kernels at their width, other kernels, biases and the rest 32 bit,"
    " batch norm 2 floats a channel (fused)",
  ),
  "larq_int8": (_larq_int8, "as larq, with 8 bits in place of 32"),
  "aqt": (
    _aqt,
    "kernels only, at w_bits, untagged ones at 16 bits (google/aqt memory_cost)",
  ),
  "hawq": (
    _hawq,
    "kernels only, at w_bits; a model without tags: every parameter at 32 bits",
  ),
  "fracbnn": (
    _fracbnn,
    "tagged kernels at their width, other kernels and biases 8 bit, no batch"
    " norm",
  ),
  "fracbnn_float32": (
    _fracbnn_float32,
    "as fracbnn, with 32 bits in place of 8",
  ),
  "bibert": (
    _bibert,
    "tagged kernels and embeddings at their width, every other parameter 32"
    " bit",
  ),
  "half": (
    _half,
    "as bibert, with 16 bits in place of 32 (FBI-LLM, Bi-Mamba)",
  ),
  "float32": (_float32, "every parameter at 32 bits"),
}


def weight_bits(ps: Parameters, convention: str) -> int:
  """Bits of the stored arrays under a convention.

  Raises:
    ValueError: unknown convention.
  """
  if not isinstance(convention, str) or convention not in CONVENTIONS:
    raise unknown("size convention", convention, CONVENTIONS)
  return math.ceil(CONVENTIONS[convention][0](ps))
