"""Dead code: which equations of a program are needed, and what they read.

Nothing is rewritten: the interpreter and the liveness pass of the activations
skip what is not in the plan. A result is dead where nobody reads it, through
loops, branches and calls. Equations with effects (prints, callbacks) are always
kept.

Example: the surrogate of an estimator is an operand of a `custom_vjp` whose
forward rule never reads it. What computes it is dead.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from jax.extend.core import Literal

from bnnjax.core import equations
from bnnjax.core.numerics import pass_nan_p

Mask = tuple[bool, ...]


@dataclasses.dataclass(frozen=True)
class Plan:
  """The part of a jaxpr that runs.

  Attributes:
    eqns: the equations that are needed, in program order.
    wanted: for each of them, which of its results are read.
    operands: for each of them, the variables it reads (a call names others).
    reads: which inputs of the jaxpr are read.
    invars, outvars: the inputs that are read, the results that are wanted.
  """

  eqns: tuple[Any, ...]
  wanted: tuple[Mask, ...]
  operands: tuple[tuple[Any, ...], ...]
  reads: Mask
  invars: tuple[Any, ...]
  outvars: tuple[Any, ...]


class Planner:
  """Plans of jaxprs, each made once for every set of wanted results."""

  def __init__(self):
    # The jaxpr is kept beside its plan: its `id` is unique while it lives.
    self._plans: dict[tuple[int, Mask], tuple[Any, Plan]] = {}

  def __call__(self, jaxpr: Any, wanted: Sequence[bool]) -> Plan:
    """The plan of a (possibly closed) jaxpr of which `wanted` is read."""
    jaxpr = equations.opened(jaxpr)[0]
    key = (id(jaxpr), tuple(wanted))
    if key not in self._plans:
      self._plans[key] = (jaxpr, self._plan(jaxpr, key[1]))
    return self._plans[key][1]

  def _plan(self, jaxpr: Any, wanted: Mask) -> Plan:
    outvars = tuple(v for v, is_read in zip(jaxpr.outvars, wanted) if is_read)
    alive = {v for v in outvars if not isinstance(v, Literal)}
    kept = []
    for eqn in reversed(jaxpr.eqns):
      outs = tuple(v in alive for v in eqn.outvars)
      if not any(outs) and not equations.has_effects(eqn):
        continue
      operands = tuple(
        v
        for v, is_read in zip(eqn.invars, self.reads(eqn, outs))
        if is_read and not isinstance(v, Literal)
      )
      alive.update(operands)
      kept.append((eqn, outs, operands))
    reads = tuple(v in alive for v in jaxpr.invars)
    eqns, outs, operands = zip(*reversed(kept)) if kept else ((), (), ())
    invars = tuple(v for v, is_read in zip(jaxpr.invars, reads) if is_read)
    return Plan(eqns, outs, operands, reads, invars, outvars)

  def reads(self, eqn: Any, outs: Mask) -> Mask:
    """Which operands an equation reads for these of its results."""
    name = eqn.primitive.name
    if name == "scan":
      s = equations.scan(eqn)
      carry = self.scan_carry(eqn, outs)
      body = self(s.body, carry + outs[s.carry :]).reads
      return body[: s.consts] + carry + body[s.consts + s.carry :]
    if name == "while":
      w = equations.while_(eqn)
      carry = self.while_carry(eqn, outs)
      cond = self(w.cond, (True,)).reads
      body = self(w.body, carry).reads
      return cond[: w.cond_consts] + body[: w.body_consts] + carry
    if name == "cond":
      plans = [self(branch, outs).reads for branch in equations.branches(eqn)]
      return (True, *(any(each) for each in zip(*plans)))
    if eqn.primitive is pass_nan_p:  # a packed network has no such guard
      return (True, False)
    if name == "optimization_barrier":
      return outs
    body = equations.body(eqn)
    if body is not None:
      return self(body, outs).reads
    return (True,) * len(eqn.invars)

  def scan_carry(self, eqn: Any, outs: Mask) -> Mask:
    """The carries that a scan needs for these of its results."""
    s = equations.scan(eqn)
    return self._carried(s.body, s.consts, outs[: s.carry], outs[s.carry :])

  def while_carry(self, eqn: Any, outs: Mask) -> Mask:
    """The carries that a while needs; its test reads some too."""
    w = equations.while_(eqn)
    tested = self(w.cond, (True,)).reads[w.cond_consts :]
    carry = tuple(a or b for a, b in zip(outs, tested))
    return self._carried(w.body, w.body_consts, carry, ())

  def _carried(self, body: Any, consts: int, carry: Mask, ys: Mask) -> Mask:
    """The carries that a loop body needs, step after step.

    Example: `a, b = a + b, b` with `a` wanted reads `b` in the first round, and
    nothing more in the second.
    """
    while True:
      read = self(body, carry + ys).reads[consts : consts + len(carry)]
      more = tuple(a or b for a, b in zip(carry, read))
      if more == carry:
        return carry
      carry = more
