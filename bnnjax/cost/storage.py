"""How a parameter is stored, told from where and how it is read."""

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from bnnjax.core.bits import BitTag
from bnnjax.cost.inputs import BATCH_STAT, STAT, Stored
from bnnjax.cost.rows import Computed, Parameter, Site, Use
from bnnjax.cost.values import Value, dtype_bits

_BIAS = re.compile(r"^(b|bias|.*_bias)$")
_BN_PATH = re.compile(r"(^|[._])(bn|batch_?norm)\d*($|[._])", re.IGNORECASE)
_BN_STAT = frozenset(("mean", "var", "running_mean", "running_var"))


def split_sites(
  v: Value, parameter: int
) -> tuple[tuple[Site, ...], tuple[Site, ...]]:
  """Tags of an operand that a parameter stands behind, and the others."""
  sites = v.sites if v.terms else ()
  mine = tuple(s for s in sites if parameter in s.parameters)
  return mine, tuple(s for s in sites if parameter not in s.parameters)


def is_mask(mine: Sequence[Site], others: Sequence[Site]) -> bool:
  """Whether a parameter is but the mask of another one."""
  mask = bool(mine) and all(s.mask for s in mine)
  return mask and any(not s.mask for s in others)


def holds(width: int, words: int, size: int, terms: Sequence[BitTag]) -> bool:
  """Whether so many words hold `size` low-bit values, rows padded."""
  needed = size * sum(t.bits for t in terms)
  return bool(needed) and len(terms) == 1 and 1 <= words * width / needed < 2


def packed(parameter: int, width: int) -> tuple[Site, ...]:
  """The tag of words: all of their bits."""
  return (Site(hash(("words", parameter)), Fraction(width), (parameter,)),)


def computed(eqn: Any, scale: Value, weight: Value) -> list[Computed]:
  """What the primitive `stored` says: a scale to be stored beside a weight.

  Nothing, if it is a parameter itself, or comes from no parameter.
  """
  behind = {i for i, _ in weight.lineage}
  if not scale.static or any(i not in behind for i, _ in scale.lineage):
    return []
  size, whole = (math.prod(v.aval.shape) for v in eqn.invars)
  width = dtype_bits(eqn.invars[0].aval.dtype)
  number = scale.number or id(eqn)
  return [
    Computed(i, Fraction(size, n), width, number)
    for i, n in weight.lineage[:1]
    if n == whole
  ]


def parameters(
  stored: Sequence[Stored],
  uses: Sequence[Use],
  scales: Sequence[Computed] = (),
) -> tuple[Parameter, ...]:
  """Roles and widths, from where the parameters were read."""
  found: dict[int, list[Use]] = {}
  for use in uses:
    found.setdefault(use.parameter, []).append(use)
  read = [s for i, s in enumerate(stored) if i in found]
  kernels = {m for s in read for m in s.modules}
  # Of a weight that is a module, the bias lies beside that module.
  kernels |= {_parent(_parent(s.weight)) for s in read if s.weight}
  homes = {_parent(_parent(s.path)) for s in stored if s.role == "mask"}
  norms = {m for s in stored if _of_norm(s) for m in s.modules}
  parameters = [
    _parameter(s, found.get(i, []), kernels, norms, homes)
    for i, s in enumerate(stored)
  ]
  # Of a kernel that nothing contracts (the deployed network's, dead code)
  # nothing is kept.
  kept = {(c.parameter, c.number): c for c in scales if c.parameter in found}
  return (*parameters, *(_scale(c, stored[c.parameter]) for c in kept.values()))


def _scale(c: Computed, weight: Stored) -> Parameter:
  size = math.ceil(c.share * weight.size)
  module = weight.path.rpartition(".")[0]
  path = f"{module}.scale" if module else "scale"
  return Parameter(
    path, (size,), c.dtype_bits, "scale", c.dtype_bits, trained=False
  )


def _parent(path: str) -> str:
  return path.rpartition(".")[0]


def _parameter(
  s: Stored,
  uses: list[Use],
  kernels: set[str],
  norms: set[str],
  homes: set[str],
) -> Parameter:
  role = s.role or _role(s, {u.kind for u in uses}, kernels, norms)
  tagged = bool(uses) and all(u.sites for u in uses)
  sites = {
    # Read twice, stored once; but parts of it by their masks.
    (x.number, x.bits, u.masks if x.densities and not x.mask else ()): x
    for u in (uses if tagged else ())
    for x in u.sites
  }
  bits = sum((x.bits for x in sites.values()), Fraction(0)) or s.dtype_bits
  bits = min(bits, s.dtype_bits) if s.dtype_bits == 1 else bits
  own = bool(s.weight) and _parent(s.weight) in homes
  masked = own or all(u.masked for u in uses)
  sparse = [d for x in sites.values() for d in x.densities]
  dense = not sparse or any(
    not x.mask and not x.densities for x in sites.values()
  )
  return Parameter(
    path=s.path,
    shape=s.shape,
    dtype_bits=s.dtype_bits,
    role=role,
    bits=int(bits) if bits == int(bits) else bits,
    row=next((u.row for u in uses if u.kind == role), 0),
    tagged=tagged,
    trained=s.trained,
    densities=() if masked else tuple(sparse),
    density=Fraction(1) if dense else min(sum(sparse), Fraction(1)),
    held=max((u.held for u in uses), default=0),
    weight=s.weight,
  )


def _of_norm(s: Stored) -> bool:
  name = s.path.rpartition(".")[2]
  return s.kind == BATCH_STAT or (s.kind != STAT and name in _BN_STAT)


def _role(
  s: Stored, kinds: set[str], kernels: set[str], norms: set[str]
) -> str:
  for kind in ("kernel", "embedding", "mask"):
    if kind in kinds:
      return kind
  if s.kind == STAT:
    return "stat"
  name = s.path.rpartition(".")[2]
  if norms.intersection(s.modules) or _BN_PATH.search(s.path):
    is_stat = not s.trained or name in _BN_STAT
    return "bn_stat" if is_stat else "bn"
  if _BIAS.match(name) and kernels.intersection(s.modules):
    return "bias"
  return "other"


def weights(ps: Sequence[Parameter]) -> int:
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


def mask_bits(ps: Sequence[Parameter]) -> int:
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
