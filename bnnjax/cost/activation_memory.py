"""Peak of live activations: a liveness pass beside the interpreter.

Bits are pairs: at the widths of the dtypes, at the widths of the tags.
"""

import math
from collections.abc import Sequence
from typing import Any

from jax.extend.core import Literal

from bnnjax.core.declared_cost import counted_p
from bnnjax.core.equations import CONTRACTIONS
from bnnjax.cost.abstract_value import AbstractValue, dtype_bits
from bnnjax.cost.dead_code import Plan

# A broadcast is read in place and never written out.
_FREE = frozenset(("broadcast_in_dim", "iota"))
Bits = tuple[int, int]


def _bits(v: Any, value: AbstractValue) -> Bits:
  """Storage of a variable; weights are 0."""
  if value.static or not hasattr(v.aval, "shape"):
    return 0, 0
  size = math.prod(v.aval.shape)
  wide = size * dtype_bits(v.aval.dtype)
  tagged = sum(t.bits for t in value.terms)
  return wide, size * tagged if tagged else wide


class Liveness:
  """Live bits while the equations of a plan run in order.

  A result takes the place of an operand that dies with the equation, as far as
  it fits, as in XLA. Only broadcasts are fused.

  Example: `tanh(x)` of 16 floats needs no bits beyond those of `x` if `x` is not
  read again; `x @ w` needs operand and result.

  Args:
    plan: what runs.
    env: values of the inputs; those of the results are added as they run.
    owned: inputs that nobody else holds: they may die here.
  """

  def __init__(
    self, plan: Plan, env: dict[Any, AbstractValue], owned: Sequence[Any] = ()
  ):
    self._plan = plan
    self._last = {v: i for i, read in enumerate(plan.operands) for v in read}
    for v in plan.outvars:
      if not isinstance(v, Literal):
        self._last[v] = len(plan.eqns)
    self._size = {}
    self._now = [0, 0]
    self._i = 0
    for v in owned:
      self._add(v, _bits(v, env[v]))
    self.peak = tuple(self._now)

  def _add(self, v: Any, bits: Bits) -> None:
    self._size[v] = bits
    for k in (0, 1):
      self._now[k] += bits[k]

  def _dying(self) -> dict[Any, Bits]:
    """Bits of the operands that nothing reads after the next equation."""
    return {
      v: self._size[v]
      for v in self._plan.operands[self._i]
      if self._last.get(v) == self._i and v in self._size
    }

  def handed_over(
    self, operands: Sequence[Any], reads: Sequence[bool]
  ) -> tuple[list[bool], Bits]:
    """Which operands the next equation, a call, may free, and how many bits.

    Args:
      operands: of the call.
      reads: which of them it reads.
    """
    dying, owned, freed = self._dying(), [], [0, 0]
    for v, is_read in zip(operands, reads):
      mine = is_read and not isinstance(v, Literal) and v in dying
      owned.append(mine)
      for k, bits in enumerate(dying.pop(v) if mine else ()):
        freed[k] += bits
    return owned, tuple(freed)

  def step(self, eqn: Any, env: dict[Any, AbstractValue], inside: Bits) -> None:
    """Runs one equation; `inside` is the peak of its sub-program."""
    free = eqn.primitive.name in _FREE
    read = [v for v in eqn.outvars if v in self._last]  # others are not made
    new = {v: (0, 0) if free else _bits(v, env[v]) for v in read}
    dying = [self._size.pop(v) for v in self._dying()]
    peak = list(self.peak)
    for k in (0, 1):
      out = sum(bits[k] for bits in new.values())
      biggest = max((bits[k] for bits in dying), default=0)
      reuse = min(out, biggest) if len(new) == 1 else 0
      if eqn.primitive.name in CONTRACTIONS:
        reuse = 0  # reads its operands to the end
      if eqn.primitive is counted_p:
        reuse = out  # does nothing
      peak[k] = max(peak[k], self._now[k] + max(out - reuse, inside[k]))
      self._now[k] -= sum(bits[k] for bits in dying)
    self.peak = tuple(peak)
    for v, bits in new.items():
      if self._last.get(v, -1) > self._i:
        self._add(v, bits)
    self._i += 1
