"""Control flow: scan, while, cond, shard_map.

A rule returns the results of an equation, and the peak of live bits inside it.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from jax.extend.core import Literal

from bnnjax.cost import equations, recurrence
from bnnjax.cost.abstract_value import (
  AbstractValue,
  Dims,
  Source,
  join,
  plain,
  replace,
)
from bnnjax.cost.activation_memory import Bits
from bnnjax.cost.dead_code import Mask

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
  interpreter: Any,
  body: Any,
  fixed: Values,
  carry: Values,
  rest: Values,
  scope: str,
  kind: str,
  wanted: Sequence[bool],
) -> tuple[Values, Values, Bits]:
  """Interprets a loop body until the carry repeats itself.

  Example: a carry begins as zeros, which are a constant, and a step adds a
  float. The first round finds "zeros or a float", which is a float; the second
  begins with a float, ends with one, and is the one that stays written.

  Args:
    interpreter: what runs the body.
    body: of the loop.
    fixed: what every step reads.
    carry: before the first step.
    rest: the slices of a scan.
    scope: of the loop.
    kind: of loop, for messages.
    wanted: which results are read; a carry that nothing reads stays as it is.

  Returns:
    The carry that holds at every step, all results of the last round, and its
    peak.
  """
  # The expression of a carry holds before the first step only.
  carry = [replace(v, affine=None, expression=None) for v in carry]
  for _ in range(_ROUNDS):
    mark = interpreter.ledger.mark()
    ins = fixed + carry + rest
    outs, peak = interpreter.interpret(body, ins, scope, wanted)
    where = f"it changes in the carry of a {kind}"
    after = [
      # Affine work of the last step is no affine work of the next.
      join(a, replace(b, affine=None), where) if read else a
      for a, b, read in zip(carry, outs, wanted)
    ]
    if after == carry:
      return carry, outs, peak
    interpreter.ledger.cut(mark)
    carry = after
  invars = equations.opened(body)[0].invars[len(fixed) :]
  carry = [plain(v.aval.shape) for v, _ in zip(invars, carry)]
  outs, peak = interpreter.interpret(body, fixed + carry + rest, scope, wanted)
  interpreter.ledger.warn(
    scope, f"{kind}: the tags of its carry did not settle and were dropped."
  )
  return carry, outs, peak


def scan(
  interpreter: Any, eqn: Any, ins: Values, scope: str, wanted: Mask
) -> tuple[Values, Bits]:
  """The body, `length` times."""
  s = equations.scan(eqn)
  read = interpreter.plan.scan_carry(eqn, wanted) + wanted[s.carry :]
  fixed, carry = ins[: s.consts], ins[s.consts : s.consts + s.carry]
  xs = [_unstacked(v, s.length) for v in ins[s.consts + s.carry :]]
  if recurrence.is_undeclared(s, xs, scope):
    interpreter.ledger.note(scope, recurrence.AS_WRITTEN)
  with interpreter.repeated(s.length):
    carry, outs, peak = _fixpoint(
      interpreter, s.body, fixed, carry, xs, scope, "scan", read
    )
  return carry + [_stacked(v, s.length) for v in outs[s.carry :]], peak


def while_(
  interpreter: Any, eqn: Any, ins: Values, scope: str, wanted: Mask
) -> tuple[Values, Bits]:
  """The body as often as its counter says; once, with a warning, if unknown."""
  w, ledger = equations.while_(eqn), interpreter.ledger
  read = interpreter.plan.while_carry(eqn, wanted)
  cond_fixed = ins[: w.cond_consts]
  fixed = ins[w.cond_consts : w.cond_consts + w.body_consts]
  carry = ins[w.cond_consts + w.body_consts :]
  trips = _trips(w, cond_fixed, carry)
  mark = ledger.mark()
  with interpreter.repeated(1 if trips is None else trips):
    carry, _, peak = _fixpoint(
      interpreter, w.body, fixed, carry, [], scope, "while loop", read
    )
  with interpreter.repeated(1 if trips is None else trips + 1):  # the last test
    interpreter.interpret(w.cond, cond_fixed + carry, scope)
  if trips is None and len(ledger.rows) > mark["rows"]:
    ledger.warn(scope, _UNKNOWN_TRIPS)
  elif trips is None and len(ledger.work) > mark["work"]:
    ledger.note(scope, _UNKNOWN_TRIPS)
  return carry, peak


def _trips(w: equations.While, cond_fixed: Values, carry: Values) -> int | None:
  """Trip count of `i < n` with `i` stepping by a constant, if it is that.

  Example: `i = 0; while i <= 9: i += 3` tests a gap of 10 that shrinks by 3 a
  trip, which makes 4 trips.
  """
  cond = equations.opened(w.cond)[0]
  body = equations.opened(w.body)[0]
  test = {v: e for e in cond.eqns for v in e.outvars}.get(cond.outvars[0])
  if test is None or test.primitive.name not in ("lt", "le", "gt", "ge"):
    return None
  invars, known = list(cond.invars), [*cond_fixed, *carry]

  def progress(v: Any) -> tuple[float | None, float | None]:
    """What a side of the test is at first, and what a trip adds to it."""
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


def cond(
  interpreter: Any, eqn: Any, ins: Values, scope: str, wanted: Mask
) -> tuple[Values, Bits]:
  """The costliest branch (by ACE, then MACs); results as of any branch."""
  ledger, trials, outs, peaks = interpreter.ledger, [], None, [(0, 0)]
  for branch in equations.branches(eqn):
    mark = ledger.mark()
    results, peak = interpreter.interpret(branch, ins[1:], scope, wanted)
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
    ledger.note(scope, text)
  return outs, tuple(max(p[k] for p in peaks) for k in (0, 1))


def shard_map(
  interpreter: Any, eqn: Any, ins: Values, scope: str, wanted: Mask
) -> tuple[Values, Bits]:
  """The body on every device: local shapes, times the number of devices."""
  body = eqn.params["jaxpr"]
  local = []
  for v, outer, here in zip(ins, eqn.invars, equations.opened(body)[0].invars):
    whole, share = (math.prod(x.aval.shape) for x in (outer, here))
    lineage = tuple(Source(i, share if n == whole else n) for i, n in v.lineage)
    local.append(replace(v, lineage=lineage, affine=None))
  with interpreter.repeated(equations.devices(eqn)):
    return interpreter.interpret(body, local, scope, wanted)


Rule = Callable[[Any, Any, Values, str, Mask], tuple[Values, Bits]]
RULES: dict[str, Rule] = {
  "scan": scan,
  "while": while_,
  "cond": cond,
  "shard_map": shard_map,
}
