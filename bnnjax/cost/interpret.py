"""Abstract interpretation of a jaxpr: every contraction, its widths, its place.

A primitive has a rule in `control_flow.RULES` or `RULES`, or is a call, whose
body is interpreted (jit, vmap, remat, custom_jvp, custom_vjp, closed_call).
Nothing is executed and nothing is allocated.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from jax.extend.core import Literal

from bnnjax.core.bits import stored_p, tag_p
from bnnjax.core.counted import counted_p
from bnnjax.core.nan_guard import pass_nan_p
from bnnjax.cost import (
  arithmetic,
  axes,
  contraction,
  control_flow,
  data_movement,
  elementwise,
  equations,
  expressions,
  popcount,
  recurrence,
  storage,
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
    plan: tells what of a jaxpr is no dead code.
  """

  def __init__(self, stored: Sequence[Stored] = ()):
    self.stored = stored
    self.ledger = Ledger()
    self.times = 1
    self.plan = Planner()

  @contextlib.contextmanager
  def repeated(self, times: int) -> Iterator[None]:
    """Everything inside runs so many times."""
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
    owned: Sequence[bool] = (),
  ) -> tuple[Values, Bits]:
    """Interprets one (possibly closed) jaxpr, dead code left out.

    Args:
      jaxpr: what runs.
      ins: the values of its inputs.
      scope: path of the named scopes around it.
      wanted: which of its results are read; `None`: all.
      owned: which of its inputs die inside; the caller keeps the others.

    Returns:
      The values of its results (a plain one for those that nobody reads), and
      the peak of live bits inside it beyond its inputs.
    """
    jaxpr, consts = equations.opened(jaxpr)
    wanted = (True,) * len(jaxpr.outvars) if wanted is None else tuple(wanted)
    plan = self.plan(jaxpr, wanted)
    env = {v: plain(v.aval.shape) for v in jaxpr.constvars}
    env |= zip(jaxpr.constvars, map(constant, consts))
    env |= zip(jaxpr.invars, ins)
    held = [v for v, mine in zip(jaxpr.invars, owned) if mine]
    live = Liveness(plan, env, [v for v in held if v in plan.invars])

    def read(v: Any) -> AbstractValue:
      if isinstance(v, Literal):
        return constant(v.val)
      # Dead code made no value, and a call may still name it as an operand.
      return env[v] if v in env else plain(getattr(v.aval, "shape", ()))

    for eqn, needed in zip(plan.eqns, plan.wanted):
      here = equations.join_scopes(scope, equations.scope_of(eqn))
      ins = [read(v) for v in eqn.invars]
      outs, inside = self._equation(eqn, ins, here, needed, live)
      if any(v.static and not v.expression_id for v in outs):
        outs = expressions.identified(eqn, ins, outs)
      env.update(zip(eqn.outvars, outs))
      live.step(eqn, env, inside)
    return [read(v) for v in jaxpr.outvars], live.peak

  def _equation(
    self,
    eqn: Any,
    ins: Values,
    scope: str,
    wanted: Sequence[bool],
    live: Liveness,
  ) -> tuple[Values, Bits]:
    """Results of one equation, and the peak of live bits inside it."""
    name = eqn.primitive.name
    if name in control_flow.RULES:
      return control_flow.RULES[name](self, eqn, ins, scope, wanted)
    body = equations.body(eqn)
    if body is not None:  # a call, which is given the operands that die with it
      reads = self.plan(body, wanted).reads
      owned, freed = live.handed_over(eqn.invars, reads)
      outs, peak = self.interpret(body, ins, scope, wanted, owned)
      return outs, (peak[0] - freed[0], peak[1] - freed[1])
    work = elementwise.count(eqn, ins, scope, self.times)
    self.ledger.work.extend(work)
    rule = MARKS.get(eqn.primitive) or RULES.get(name, arithmetic.unknown)
    outs = rule(self, eqn, ins, scope)
    if len(outs) == 1:
      recorded = expressions.recorded(eqn, ins)
      outs = [replace(outs[0], expression=recorded)]
    return outs, (0, 0)

  def use(
    self, v: AbstractValue, size: int, kind: str, row_length: int
  ) -> tuple[str, ...]:
    """Writes down how the parameters behind an operand are read.

    Returns:
      Their paths.
    """
    uses = storage.uses(self.stored, v, size, kind, row_length or 1)
    self.ledger.uses.extend(uses)
    return tuple(self.stored[use.parameter].path for use in uses)


def _first(
  interpreter: Interpreter, eqn: Any, ins: Values, scope: str
) -> Values:
  """The first operand, as it is."""
  del interpreter, eqn, scope
  return [ins[0]]


def _all(interpreter: Interpreter, eqn: Any, ins: Values, scope: str) -> Values:
  """All operands, as they are."""
  del interpreter, eqn, scope
  return ins


def _stored(
  interpreter: Interpreter, eqn: Any, ins: Values, scope: str
) -> Values:
  """A scale, which the network stores beside its weight."""
  del scope
  interpreter.ledger.scales.extend(storage.computed(eqn, *ins))
  return [ins[0]]


Rule = Callable[[Interpreter, Any, Values, str], Values]
# Primitives of `bnnjax.core`, by which code says what it means.
MARKS: dict[Any, Rule] = {
  tag_p: arithmetic.tagged,
  pass_nan_p: _first,
  stored_p: _stored,
  counted_p: recurrence.declared,
}
# Results of `(interpreter, equation, operands, scope)`, by primitive. Others
# are unknown.
RULES: dict[str, Rule] = {
  **dict.fromkeys(elementwise.ELEMENTWISE, arithmetic.result),
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
  "optimization_barrier": _all,
  "device_put": _all,
}
