"""Abstract interpretation of a jaxpr: every contraction, its widths, its place.

A primitive has a rule in `control_flow.RULES` or `RULES`, or is a call, whose
body is interpreted (jit, vmap, remat, custom_jvp, custom_vjp, closed_call).
Nothing is executed and nothing is allocated.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from jax.extend.core import Literal

from bnnjax.core import equations
from bnnjax.core.bits import stored_p, tag_p
from bnnjax.core.declared_cost import counted_p
from bnnjax.core.equations import Operation
from bnnjax.core.numerics import pass_nan_p
from bnnjax.cost import (
  axes,
  contraction,
  control_flow,
  data_movement,
  elementwise,
  expressions,
  popcount,
  recurrence,
  storage,
  tag_arithmetic,
)
from bnnjax.cost.abstract_value import AbstractValue, constant, plain, replace
from bnnjax.cost.activation_memory import Bits, Liveness
from bnnjax.cost.dead_code import Planner
from bnnjax.cost.ledger import Ledger
from bnnjax.cost.variables import Stored

Values = list[AbstractValue]


class Interpreter:
  """Interprets jaxprs and writes down what they cost.

  Attributes:
    stored: parameters and statistics, which lineages name by their index.
    ledger: what was written down.
    times: executions of what is interpreted now (scan length, devices).
    plan: finds the dead code of a jaxpr.
  """

  def __init__(self, stored: Sequence[Stored] = ()):
    self.stored = stored
    self.ledger = Ledger()
    self.times = 1
    self.plan = Planner()

  @contextlib.contextmanager
  def repeated(self, times: int) -> Iterator[None]:
    """Counts everything inside `times` times."""
    outer, self.times = self.times, self.times * times
    try:
      yield
    finally:
      self.times = outer

  def interpret(
    self,
    jaxpr: Any,
    ins: Sequence[AbstractValue],
    scope: str,
    wanted: Sequence[bool] | None = None,
    owned: Sequence[bool] | None = None,
  ) -> tuple[Values, Bits]:
    """Interprets one (possibly closed) jaxpr without its dead code.

    Args:
      jaxpr: what runs.
      ins: the values of its inputs.
      scope: path of the named scopes around it.
      wanted: which of its results are read; `None`: all.
      owned: which of its inputs die inside; the caller keeps the others. `None`:
        none of them.

    Returns:
      The values of its results (a plain one for those that nobody reads), and
      the peak of live bits inside it beyond its inputs.
    """
    jaxpr, consts = equations.opened(jaxpr)
    wanted = (True,) * len(jaxpr.outvars) if wanted is None else tuple(wanted)
    plan = self.plan(jaxpr, wanted)
    env = {v: plain(v.aval.shape) for v in jaxpr.constvars}
    env |= zip(jaxpr.constvars, map(constant, consts))  # an open one has none
    env |= zip(jaxpr.invars, ins, strict=True)
    owned = owned or (False,) * len(jaxpr.invars)
    held = [v for v, mine in zip(jaxpr.invars, owned, strict=True) if mine]
    live = Liveness(plan, env, [v for v in held if v in plan.invars])

    def read(v: Any) -> AbstractValue:
      if isinstance(v, Literal):
        return constant(v.val)
      # Dead code has no value, but a call may still name it as an operand.
      return env[v] if v in env else plain(getattr(v.aval, "shape", ()))

    for eqn, needed in zip(plan.eqns, plan.wanted, strict=True):
      here = equations.join_scopes(scope, equations.scope_of(eqn))
      op = Operation(eqn, [read(v) for v in eqn.invars], here, needed, self)
      outs, inside = self._results(op, live)
      outs = expressions.identified(op, outs)
      env.update(zip(eqn.outvars, outs, strict=True))
      live.step(eqn, env, inside)
    return [read(v) for v in jaxpr.outvars], live.peak

  def _results(self, op: Operation, live: Liveness) -> tuple[Values, Bits]:
    """Results of one equation, and the peak of live bits inside it."""
    if op.name in control_flow.RULES:
      return control_flow.RULES[op.name](op)
    body = equations.body(op.eqn)
    if body is not None:  # a call, which may free operands that die with it
      reads = self.plan(body, op.wanted).reads
      owned, freed = live.handed_over(op.eqn.invars, reads)
      outs, peak = self.interpret(body, op.ins, op.scope, op.wanted, owned)
      return outs, (peak[0] - freed[0], peak[1] - freed[1])
    self.ledger.work.extend(elementwise.count(op))
    primitive = op.eqn.primitive
    rule = MARKS.get(primitive) or RULES.get(op.name, tag_arithmetic.unknown)
    out = rule(op)
    outs = [out] if isinstance(out, AbstractValue) else out
    if len(outs) == 1:
      outs = [replace(outs[0], expression=expressions.recorded(op))]
    return outs, (0, 0)

  def use(
    self, v: AbstractValue, size: int, kind: str, row_length: int
  ) -> tuple[str, ...]:
    """Records how the parameters behind an operand are read; their paths."""
    uses = storage.uses(self.stored, v, size, kind, row_length or 1)
    self.ledger.uses.extend(uses)
    return tuple(self.stored[use.parameter].path for use in uses)


def _stored(op: Operation) -> AbstractValue:
  """A scale that the network stores beside its weight."""
  op.interpreter.ledger.scales.extend(storage.computed(op))
  return op.ins[0]


Rule = Callable[[Operation], AbstractValue | Values]
# Primitives of `bnnjax.core` that annotate a program.
MARKS: dict[Any, Rule] = {
  tag_p: tag_arithmetic.tagged,
  pass_nan_p: lambda op: op.ins[0],
  stored_p: _stored,
  counted_p: recurrence.declared,
}
# Rules of other primitives; what is not listed is `tag_arithmetic.unknown`.
RULES: dict[str, Rule] = {
  **dict.fromkeys(elementwise.ELEMENTWISE, tag_arithmetic.result),
  **dict.fromkeys(popcount.BITWISE, popcount.bitwise),
  **dict.fromkeys(axes.KEEP, data_movement.moved),
  "dot_general": contraction.dot,
  "conv_general_dilated": contraction.conv,
  "population_count": popcount.population_count,
  "reduce_sum": popcount.reduce_sum,
  "bitcast_convert_type": popcount.bitcast,
  "split": data_movement.parts,
  "unstack": data_movement.parts,
  "select_n": data_movement.select,
  "concatenate": data_movement.concatenate,
  "stack": data_movement.concatenate,
  "pad": data_movement.pad,
  "dynamic_update_slice": data_movement.update_slice,
  "optimization_barrier": lambda op: op.ins,
  "device_put": lambda op: op.ins,
}
