"""How a parameter is stored, derived from where and how it is read."""

import dataclasses
import math
import re
from collections.abc import Sequence
from fractions import Fraction

from bnnjax import deprecated
from bnnjax.core.bits import BitTag
from bnnjax.core.equations import Operation
from bnnjax.cost.abstract_value import AbstractValue, dtype_bits
from bnnjax.cost.ledger import (
  ComputedScale,
  Parameter,
  ParameterUse,
  TagSite,
)
from bnnjax.cost.variables import BATCH_STAT, STAT, Stored

_BIAS = re.compile(r"^(b|bias|.*_bias)$")
_BN_PATH = re.compile(r"(^|[._])(bn|batch_?norm)\d*($|[._])", re.IGNORECASE)
_BN_STAT = frozenset(("mean", "var", "running_mean", "running_var"))


def uses(
  stored: Sequence[Stored],
  v: AbstractValue,
  size: int,
  kind: str,
  row_length: int,
) -> list[ParameterUse]:
  """How the parameters behind an operand of `size` elements are read.

  A parameter is behind it if it has as many elements, or if its words hold
  them, as declared or as the tag shows: 2 words of 32 bits hold 64 signs.
  """
  masks = tuple(sorted(s.expression_id for s in v.tag_sites if s.mask))
  found = []
  for i, n in v.lineage if v.static else ():
    parameter = stored[i]
    says = n != size and n * (parameter.holds or 0) == size
    if n == size or says:
      mine, others = _split_sites(v, i)
      role = "mask" if _is_mask(mine, others) else kind
      if v.role == "shift":  # float, whatever its tag says of its width
        role, mine = v.role, ()
      if says:  # the bits of a word
        mine = tuple(
          dataclasses.replace(s, bits=s.bits * size / n) for s in mine
        )
      held = size * parameter.size // n if says else 0
      found.append(
        ParameterUse(i, role, mine, row_length, bool(masks), held, masks)
      )
    elif parameter.words and _hold(parameter.dtype_bits * n, size, v.terms):
      sites = packed(i, parameter.dtype_bits)
      held = size * parameter.size // n
      found.append(ParameterUse(i, kind, sites, row_length=0, held=held))
  return found


def _split_sites(
  v: AbstractValue, parameter: int
) -> tuple[tuple[TagSite, ...], tuple[TagSite, ...]]:
  """Tags of an operand that come from a parameter, and the others."""
  sites = v.tag_sites if v.terms else ()
  mine = tuple(s for s in sites if parameter in s.parameters)
  return mine, tuple(s for s in sites if parameter not in s.parameters)


def _is_mask(mine: Sequence[TagSite], others: Sequence[TagSite]) -> bool:
  """Whether a parameter is merely the mask of another one."""
  mask = bool(mine) and all(s.mask for s in mine)
  return mask and any(not s.mask for s in others)


def _hold(bits: int, size: int, terms: Sequence[BitTag]) -> bool:
  """Whether words of `bits` bits hold `size` low-bit values, rows padded."""
  needed = size * sum(t.bits for t in terms)
  return bool(needed) and len(terms) == 1 and 1 <= bits / needed < 2


def packed(parameter: int, width: int) -> tuple[TagSite, ...]:
  """The tag of words: all of their bits."""
  return (TagSite(hash(("words", parameter)), Fraction(width), (parameter,)),)


def computed(op: Operation) -> list[ComputedScale]:
  """What the primitive `stored` declares: a scale to store beside a weight.

  Empty if the scale is a parameter itself, or no parameter is behind it.
  """
  scale, weight = op.ins
  behind = {source.parameter for source in weight.lineage}
  if not scale.static or any(s.parameter not in behind for s in scale.lineage):
    return []
  size, whole = map(math.prod, op.shapes)
  width = dtype_bits(op.eqn.invars[0].aval.dtype)
  expression_id = scale.expression_id or id(op.eqn)
  return [
    ComputedScale(i, Fraction(size, n), width, expression_id)
    for i, n in weight.lineage[:1]
    if n == whole
  ]


def parameters(
  stored: Sequence[Stored],
  uses: Sequence[ParameterUse],
  scales: Sequence[ComputedScale] = (),
) -> tuple[Parameter, ...]:
  """Roles and widths, from where the parameters were read.

  Example: an array that a dot reads is a `"kernel"`; a `b` or `*_bias` of the
  same module is its `"bias"`; a parameter beside batch statistics is `"bn"`.
  """
  found: dict[int, list[ParameterUse]] = {}
  for use in uses:
    found.setdefault(use.parameter, []).append(use)
  read = [s for i, s in enumerate(stored) if i in found]
  kernels = {m for s in read for m in s.modules}
  # The bias of a weight that is a module lies beside that module.
  kernels |= {_parent(_parent(s.weight)) for s in read if s.weight}
  homes = {_parent(_parent(s.path)) for s in stored if s.role == "mask"}
  norms = {m for s in stored if _of_norm(s) for m in s.modules}
  parameters = [
    _parameter(s, found.get(i, []), kernels, norms, homes)
    for i, s in enumerate(stored)
  ]
  # A kernel that nothing contracts (dead code) has no scales in the network.
  kept = {
    (c.parameter, c.expression_id): c for c in scales if c.parameter in found
  }
  return (*parameters, *(_scale(c, stored[c.parameter]) for c in kept.values()))


def _scale(c: ComputedScale, weight: Stored) -> Parameter:
  size = math.ceil(c.share * weight.size)
  module = _parent(weight.path)
  path = f"{module}.scale" if module else "scale"
  return Parameter(
    path, (size,), c.dtype_bits, "scale", c.dtype_bits, trained=False
  )


def _parent(path: str) -> str:
  return path.rpartition(".")[0]


def _parameter(
  s: Stored,
  uses: list[ParameterUse],
  kernels: set[str],
  norms: set[str],
  homes: set[str],
) -> Parameter:
  role = s.role or _role(s, {u.kind for u in uses}, kernels, norms)
  tagged = bool(uses) and all(u.tag_sites for u in uses)
  sites = {
    # What is read twice is stored once, but under two masks in two parts.
    (x.root_id, x.bits, u.masks if x.densities and not x.mask else ()): x
    for u in (uses if tagged else ())
    for x in u.tag_sites
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
    row_length=next((u.row_length for u in uses if u.kind == role), 0),
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


__getattr__ = deprecated.old_names(
  __name__,
  {
    "mask_bits": "bnnjax.cost.sizes.mask_bits",
    "weights": "bnnjax.cost.sizes.weights",
  },
)
