"""Control flow: scan, while, cond, shard_map."""

from collections.abc import Callable, Sequence
from typing import Any

from jax.extend.core import Literal

from bnnjax.cost import _private_params as private
from bnnjax.cost import recurrence
from bnnjax.cost.live import Mask
from bnnjax.cost.values import Dims, Value, join, plain, replace

_ROUNDS = 12  # a carry can only lose knowledge; a handful of rounds is enough

_UNKNOWN_TRIPS = (
  "while loop: unknown trip count, its body is counted once. Use `lax.scan` or"
  " `fori_loop` with static bounds."
)


def _unstacked(v: Value, length: int) -> Value:
  """One slice along the leading axis of a scanned array."""

  def move(dims: Dims) -> Dims:
    return {d - 1: run for d, run in dims.items() if d}

  lineage = tuple((i, n // length if length else n) for i, n in v.lineage)
  return replace(v.moved(move), lineage=lineage, affine=None)


def _stacked(v: Value, length: int) -> Value:
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
    lineage=tuple((i, n * length) for i, n in v.lineage),
    affine=None,
  )


def _fixpoint(
  walker: Any,
  body: Any,
  fixed: list[Value],
  carry: list[Value],
  rest: list[Value],
  scope: str,
  kind: str,
  wanted: Sequence[bool],
) -> tuple[list[Value], list[Value], Any]:
  """Walks a loop body until the carry repeats itself.

  Of the results `wanted` is read; a carry that nothing reads stays as it is.

  Returns:
    The carry that holds at every step, all results of the last walk (which is
    the one that stays written), and its peak.
  """
  # What a carry was made of holds before the first step only.
  carry = [replace(v, affine=None, made=None) for v in carry]
  for _ in range(_ROUNDS):
    mark = walker.mark()
    outs, peak = walker.walk(body, fixed + carry + rest, scope, wanted)
    where = f"it changes in the carry of a {kind}"
    after = [
      _settle(a, b, where) if read else a
      for a, b, read in zip(carry, outs, wanted)
    ]
    if after == carry:
      return carry, outs, peak
    walker.cut(mark)
    carry = after
  carry = [
    plain(v.aval.shape)
    for v in private.opened(body)[0].invars[
      len(fixed) : len(fixed) + len(carry)
    ]
  ]
  outs, peak = walker.walk(body, fixed + carry + rest, scope, wanted)
  walker.warn(
    scope, f"{kind}: the tags of its carry did not settle and were dropped."
  )
  return carry, outs, peak


def _settle(a: Value, b: Value, where: str) -> Value:
  """`join` without the counters that change in every step by design."""
  return join(a, replace(b, affine=None), where)


def scan(
  walker: Any, eqn: Any, ins: list[Value], scope: str, wanted: Mask
) -> Any:
  """The body, `length` times."""
  s = private.scan(eqn)
  read = walker.plan.scan_carry(eqn, wanted) + wanted[s.carry :]
  fixed, carry = ins[: s.consts], ins[s.consts : s.consts + s.carry]
  xs = [_unstacked(v, s.length) for v in ins[s.consts + s.carry :]]
  if recurrence.is_foreign(s, xs, scope):
    walker.notes.append((scope, recurrence.AS_WRITTEN))
  outer, walker.times = walker.times, walker.times * s.length
  try:
    carry, outs, peak = _fixpoint(
      walker, s.body, fixed, carry, xs, scope, "scan", read
    )
  finally:
    walker.times = outer
  ys = [_stacked(v, s.length) for v in outs[s.carry :]]
  return carry + ys, peak


def while_(
  walker: Any, eqn: Any, ins: list[Value], scope: str, wanted: Mask
) -> Any:
  """The body as often as its counter says; once, with a warning, if unknown."""
  read = walker.plan.while_carry(eqn, wanted)
  w = private.while_(eqn)
  cond_fixed = ins[: w.cond_consts]
  fixed = ins[w.cond_consts : w.cond_consts + w.body_consts]
  carry = ins[w.cond_consts + w.body_consts :]
  trips = _trips(w, cond_fixed, fixed, carry)
  mark = walker.mark()
  outer = walker.times
  walker.times = outer * (1 if trips is None else trips)
  try:
    carry, _, peak = _fixpoint(
      walker, w.body, fixed, carry, [], scope, "while loop", read
    )
    walker.times += outer if trips is not None else 0  # the last test
    walker.walk(w.cond, cond_fixed + carry, scope)
  finally:
    walker.times = outer
  if trips is None and len(walker.rows) > mark[0]:
    walker.warn(scope, _UNKNOWN_TRIPS)
  elif trips is None and len(walker.work) > mark[2]:
    walker.notes.append((scope, _UNKNOWN_TRIPS))
  return carry, peak


def _trips(w, cond_fixed, fixed, carry) -> int | None:
  """Trip count of `i < n` with `i` stepping by a constant, if it is that."""
  cond = private.opened(w.cond)[0]
  body = private.opened(w.body)[0]
  known = dict(zip(cond.invars, [*cond_fixed, *carry]))
  results = {v: e for e in cond.eqns for v in e.outvars}
  test = results.get(cond.outvars[0])
  if test is None or test.primitive.name not in ("lt", "le", "gt", "ge"):
    return None
  name = test.primitive.name
  first, second = test.invars
  n = len(cond_fixed)
  steps = [
    _step(body, len(fixed), list(cond.invars).index(v) - n)
    if v in list(cond.invars)[n:]
    else 0
    if isinstance(v, Literal) or v in known
    else None
    for v in (first, second)
  ]
  starts = [
    float(v.val)
    if isinstance(v, Literal)
    else known[v].const
    if v in known
    else None
    for v in (first, second)
  ]
  if None in steps or None in starts:
    return None
  # All four tests become `a < b` over a distance that shrinks by `step`.
  gap, step = starts[1] - starts[0], steps[0] - steps[1]
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
  walker: Any, eqn: Any, ins: list[Value], scope: str, wanted: Mask
) -> Any:
  """The costliest branch (by ACE, then MACs); results as of any branch."""
  best, best_cost, outs, peaks = None, None, None, [(0, 0)]
  costs = []
  for branch in private.branches(eqn):
    mark = walker.mark()
    results, peak = walker.walk(branch, ins[1:], scope, wanted)
    rows = walker.rows[mark[0] :]
    work = walker.work[mark[2] :]
    cost = (
      sum(r.ace for r in rows),
      sum(r.macs for r in rows),
      sum(n for *_, n in work),
    )
    written = walker.cut(mark)
    costs.append(cost)
    peaks.append(peak)
    if best_cost is None or cost > best_cost:
      best, best_cost = written, cost
    outs = (
      results
      if outs is None
      else [
        join(a, b, "branches of a cond disagree") for a, b in zip(outs, results)
      ]
    )
  walker.restore(best)
  if len(set(costs)) > 1:
    text = f"cond: the costliest of {len(costs)} branches is counted."
    walker.notes.append((scope, text))
  return outs, tuple(max(p[k] for p in peaks) for k in (0, 1))


def shard_map(
  walker: Any, eqn: Any, ins: list[Value], scope: str, wanted: Mask
) -> Any:
  """The body on every device: local shapes, times the number of devices."""
  inner = private.opened(eqn.params["jaxpr"])[0]
  local = []
  for v, outer, here in zip(ins, eqn.invars, inner.invars):
    a, b = (_size(x) for x in (outer, here))
    lineage = tuple((i, b if n == a else n) for i, n in v.lineage)
    local.append(replace(v, lineage=lineage, affine=None))
  times = walker.times
  walker.times = times * private.devices(eqn)
  try:
    return walker.walk(eqn.params["jaxpr"], local, scope, wanted)
  finally:
    walker.times = times


def _size(v: Any) -> int:
  size = 1
  for n in v.aval.shape:
    size *= n
  return size


Handler = Callable[[Any, Any, Sequence[Value], str, Mask], Any]
HANDLERS: dict[str, Handler] = {
  "scan": scan,
  "while": while_,
  "cond": cond,
  "shard_map": shard_map,
}
