"""Peak of live activations: a liveness pass beside the walk."""

import math
from collections.abc import Sequence
from typing import Any

from jax.extend.core import Literal

from bnnjax.core.counted import counted_p
from bnnjax.cost.live import Plan
from bnnjax.cost.values import Value, dtype_bits

# Read in place: a broadcast is never written out.
_FREE = frozenset(("broadcast_in_dim", "iota"))


def _bits(v: Any, value: Value) -> tuple[int, int]:
  """Storage of a variable at its dtype, and at its tag; weights are 0."""
  if value.static or not hasattr(v.aval, "shape"):
    return 0, 0
  size = math.prod(v.aval.shape)
  wide = size * dtype_bits(v.aval.dtype)
  tagged = sum(t.bits for t in value.terms)
  return wide, size * tagged if tagged else wide


class Liveness:
  """Live bits while the equations of a plan run in order.

  A result may take the place of an operand that dies with the equation and is
  at least as large, as XLA does. Nothing is fused, except broadcasts.
  `owned` are the inputs that nobody else holds: they may die here.
  """

  def __init__(
    self, plan: Plan, env: dict[Any, Value], owned: Sequence[Any] = ()
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

  def _add(self, v: Any, bits: tuple[int, int]) -> None:
    self._size[v] = bits
    for k in (0, 1):
      self._now[k] += bits[k]

  def dying(self) -> dict[Any, tuple[int, int]]:
    """Bits of the operands that nothing reads after the next equation."""
    return {
      v: self._size[v]
      for v in self._plan.operands[self._i]
      if self._last.get(v) == self._i and v in self._size
    }

  def step(self, eqn: Any, env: dict[Any, Value], inside: tuple[int, int]):
    """Runs one equation; `inside` is the peak of its sub-program."""
    free = eqn.primitive.name in _FREE
    read = [v for v in eqn.outvars if v in self._last]  # others are not made
    new = {v: (0, 0) if free else _bits(v, env[v]) for v in read}
    gone = self.dying()
    dying = [self._size.pop(v) for v in gone]
    peak = list(self.peak)
    for k in (0, 1):
      out = sum(bits[k] for bits in new.values())
      biggest = max((bits[k] for bits in dying), default=0)
      reuse = biggest if len(new) == 1 and biggest <= out else 0
      reuse = out if len(new) == 1 and biggest > out else reuse
      contracts = eqn.primitive.name in ("dot_general", "conv_general_dilated")
      reuse = 0 if contracts else reuse
      reuse = out if eqn.primitive is counted_p else reuse
      peak[k] = max(peak[k], self._now[k] + max(out - reuse, inside[k]))
      self._now[k] -= sum(bits[k] for bits in dying)
    self.peak = tuple(peak)
    for v, bits in new.items():
      if self._last.get(v, -1) > self._i:
        self._add(v, bits)
    self._i += 1
