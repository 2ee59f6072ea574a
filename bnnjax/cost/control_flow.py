"""Control flow: scan, while, cond, shard_map.

A rule returns the results of an equation and the peak of live bits inside it.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from jax.extend.core import Literal

from bnnjax.core import equations
from bnnjax.core.equations import Operation
from bnnjax.cost import recurrence
from bnnjax.cost.abstract_value import (
  AbstractValue,
  Dims,
  Source,
  join,
  plain,
  replace,
)
from bnnjax.cost.activation_memory import Bits

Values = list[AbstractValue]
_ROUNDS = 12  # a carry can only lose knowledge; a handful of rounds is enough

_UNKNOWN_TRIPS = (
  "while loop: unknown trip count, its body is counted once. Use `lax.scan` or"
  " `fori_loop` with static bounds."
)


def _unstacked(v: AbstractValue, length: int) -> AbstractValue:
  """One slice along the leading axis of a scanned array."""

  def move(dims: Dims) -> Dims:
    return {d - 1: run for d, run in dims.items() if d}

  lineage = tuple(Source(i, n // length if length else n) for i, n in v.lineage)
  return replace(v.moved(move), lineage=lineage, affine=None)


def _stacked(v: AbstractValue, length: int) -> AbstractValue:
  """The results of all steps; scales may differ from step to step."""
  out = v.moved(lambda dims: {d + 1: run for d, run in dims.items()})
  if length == 1:
    return out
  lead = {0: 1}
  return replace(
    out,
    vary={**lead, **out.vary},
    factor={**lead, **out.factor} if v.scaled else out.factor,
    shift={**lead, **out.shift} if v.shifted else out.shift,
    const=None,
    lineage=tuple(Source(i, n * length) for i, n in v.lineage),
    affine=None,
  )


def _fixpoint(
  op: Operation,
  body: Any,
  fixed: Values,
  carry: Values,
  xs: Values,
  wanted: Sequence[bool],
) -> tuple[Values, Values, Bits]:
  """Interprets a loop body until the carry repeats itself.

  Example: a carry starts as zeros, a constant, and each step adds a float. The
  first round finds "zeros or a float", which is a float. The second starts and
  ends with a float, and what it writes to the ledger stays.

  Args:
    op: the loop.
    body: its body.
    fixed: operands that every step reads.
    carry: the carry before the first step.
    xs: one slice of each array that a scan steps over.
    wanted: which results are read; a carry that nothing reads stays as it is.

  Returns:
    The carry that holds at every step, all results of the last round, and its
    peak.
  """
  interpreter, ledger = op.interpreter, op.interpreter.ledger
  kind = "while loop" if op.name == "while" else op.name
  # The expression of a carry is only true before the first step.
  carry = [replace(v, affine=None, expression=None) for v in carry]
  for _ in range(_ROUNDS):
    mark = ledger.mark()
    ins = fixed + carry + xs
    outs, peak = interpreter.interpret(body, ins, op.scope, wanted)
    where = f"it changes in the carry of a {kind}"
    after = [
      # The affine work of one step does not continue that of the step before.
      join(a, replace(b, affine=None), where) if read else a
      for a, b, read in zip(carry, outs, wanted)
    ]
    if after == carry:
      return carry, outs, peak
    ledger.cut(mark)
    carry = after
  invars = equations.opened(body)[0].invars[len(fixed) :]
  carry = [plain(v.aval.shape) for v, _ in zip(invars, carry)]
  ins = fixed + carry + xs
  outs, peak = interpreter.interpret(body, ins, op.scope, wanted)
  text = f"{kind}: the tags of its carry did not settle and were dropped."
  ledger.warn(op.scope, text)
  return carry, outs, peak


def scan(op: Operation) -> tuple[Values, Bits]:
  """The body, `length` times."""
  s, ins = equations.scan(op.eqn), op.ins
  carried = op.interpreter.plan.scan_carry(op.eqn, op.wanted)
  fixed, carry = ins[: s.consts], ins[s.consts : s.consts + s.carry]
  xs = [_unstacked(v, s.length) for v in ins[s.consts + s.carry :]]
  if recurrence.is_undeclared(s, xs, op.scope):
    op.interpreter.ledger.note(op.scope, recurrence.AS_WRITTEN)
  with op.interpreter.repeated(s.length):
    wanted = carried + op.wanted[s.carry :]
    carry, outs, peak = _fixpoint(op, s.body, fixed, carry, xs, wanted)
  return carry + [_stacked(v, s.length) for v in outs[s.carry :]], peak


def while_(op: Operation) -> tuple[Values, Bits]:
  """The body, as many times as its counter says; once if that is unknown."""
  w, ins = equations.while_(op.eqn), op.ins
  interpreter, ledger = op.interpreter, op.interpreter.ledger
  cond_fixed = ins[: w.cond_consts]
  fixed = ins[w.cond_consts : w.cond_consts + w.body_consts]
  carry = ins[w.cond_consts + w.body_consts :]
  trips = _trips(w, cond_fixed, carry)
  mark = ledger.mark()
  with interpreter.repeated(1 if trips is None else trips):
    wanted = interpreter.plan.while_carry(op.eqn, op.wanted)
    carry, _, peak = _fixpoint(op, w.body, fixed, carry, [], wanted)
  with interpreter.repeated(1 if trips is None else trips + 1):  # the last test
    interpreter.interpret(w.cond, cond_fixed + carry, op.scope)
  if trips is None and len(ledger.rows) > mark["rows"]:
    ledger.warn(op.scope, _UNKNOWN_TRIPS)
  elif trips is None and len(ledger.work) > mark["work"]:
    ledger.note(op.scope, _UNKNOWN_TRIPS)
  return carry, peak


def _trips(w: equations.While, cond_fixed: Values, carry: Values) -> int | None:
  """Trip count of `i < n` with `i` stepping by a constant, if it is that.

  Example: in `i = 0; while i <= 9: i += 3` a gap of 10 shrinks by 3 each trip,
  which makes 4 trips.
  """
  cond = equations.opened(w.cond)[0]
  body = equations.opened(w.body)[0]
  test = {v: e for e in cond.eqns for v in e.outvars}.get(cond.outvars[0])
  if test is None or test.primitive.name not in ("lt", "le", "gt", "ge"):
    return None
  invars, known = list(cond.invars), [*cond_fixed, *carry]

  def progress(v: Any) -> tuple[float | None, float | None]:
    """The first value of one side of the test, and what a trip adds to it."""
    if isinstance(v, Literal):
      return float(v.val), 0
    if v not in invars:
      return None, None
    at = invars.index(v) - len(cond_fixed)
    step = _step(body, w.body_consts, at) if at >= 0 else 0
    return known[invars.index(v)].const, step

  (first, first_step), (second, second_step) = map(progress, test.invars)
  if None in (first, first_step, second, second_step):
    return None
  # All four tests become `a < b` over a gap that shrinks by `step`.
  gap, step = second - first, first_step - second_step
  name = test.primitive.name
  if name in ("gt", "ge"):
    gap, step = -gap, -step
  if name in ("le", "ge"):
    gap += 1 if float(gap).is_integer() else 0
  if gap <= 0:
    return 0
  return int(-(-gap // step)) if step > 0 else None


def _step(body: Any, consts: int, index: int) -> float | None:
  """What one trip adds to carry `index`; `None` when that is not constant."""
  before, after = body.invars[consts + index], body.outvars[index]
  if before is after:
    return 0.0
  made = {v: e for e in body.eqns for v in e.outvars}.get(after)
  if made is None or made.primitive.name not in ("add", "sub"):
    return None
  a, b = made.invars
  if a is before and isinstance(b, Literal):
    return float(b.val) * (1 if made.primitive.name == "add" else -1)
  if b is before and isinstance(a, Literal) and made.primitive.name == "add":
    return float(a.val)
  return None


def cond(op: Operation) -> tuple[Values, Bits]:
  """The costliest branch (by ACE, then MACs); results of all branches joined."""
  interpreter, ledger = op.interpreter, op.interpreter.ledger
  trials, outs, peaks = [], None, [(0, 0)]
  for branch in equations.branches(op.eqn):
    mark = ledger.mark()
    results, peak = interpreter.interpret(
      branch, op.ins[1:], op.scope, op.wanted
    )
    trials.append(ledger.cut(mark))
    peaks.append(peak)
    where = "branches of a cond disagree"
    outs = [join(a, b, where) for a, b in zip(outs or results, results)]

  def cost(written: Any) -> tuple[int, int, int]:
    ace = sum(r.ace for r in written.rows)
    macs = sum(r.macs for r in written.rows)
    return ace, macs, sum(n for *_, n in written.work)

  ledger.extend(max(trials, key=cost))
  if len(set(map(cost, trials))) > 1:
    text = f"cond: the costliest of {len(trials)} branches is counted."
    ledger.note(op.scope, text)
  return outs, tuple(max(p[k] for p in peaks) for k in (0, 1))


def shard_map(op: Operation) -> tuple[Values, Bits]:
  """The body on every device: local shapes, times the number of devices."""
  body, local = op.params["jaxpr"], []
  for v, shape, inner in zip(
    op.ins, op.shapes, equations.opened(body)[0].invars
  ):
    whole, share = math.prod(shape), math.prod(inner.aval.shape)
    lineage = tuple(Source(i, share if n == whole else n) for i, n in v.lineage)
    local.append(replace(v, lineage=lineage, affine=None))
  with op.interpreter.repeated(equations.devices(op.eqn)):
    return op.interpreter.interpret(body, local, op.scope, op.wanted)


Rule = Callable[[Operation], tuple[Values, Bits]]
RULES: dict[str, Rule] = {
  "scan": scan,
  "while": while_,
  "cond": cond,
  "shard_map": shard_map,
}
