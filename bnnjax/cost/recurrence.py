"""Recurrences: declared ones, and those that are counted as they are written."""

from typing import Any

from jax.extend.core import Literal

from bnnjax.core.counted import SCOPE
from bnnjax.cost import program
from bnnjax.cost._private_params import Scan, opened
from bnnjax.cost.rows import Row
from bnnjax.cost.values import Value

AS_WRITTEN = (
  "scan over data whose carry is multiplied: a recurrence, counted as it is"
  " written, so that element-wise products of its state have no MACs and another"
  " way to write it may count otherwise. `bnnjax.core.counted.counted_as`"
  " declares its own cost."
)
_PRODUCTS = frozenset(("mul", "div", "dot_general", "conv_general_dilated"))


def is_replaced(scope: str) -> bool:
  """Whether work of this scope runs in the place of a declaration."""
  return SCOPE in scope.split("/")


def declared(walker: Any, eqn: Any, ins: list[Value], scope: str) -> Any:
  """The row of a declaration; its operands pass."""
  w_bits, a_bits = eqn.params["bits"]
  what = eqn.params["what"]
  walker.rows.append(
    Row(
      path=program.place(scope, ()),
      scope=scope,
      op="dot",
      shapes=(),
      macs=walker.times * eqn.params["macs"],
      w_bits=w_bits,
      a_bits=a_bits,
      length=eqn.params["length"],
      times=walker.times,
      declared=what,
      replaced=is_replaced(scope),
    )
  )
  text = f"counted as {what}; products that run beyond it are 'extra MACs'."
  walker.notes.append((scope, text))
  return list(ins)


def extra_macs(rows: list[Row], replaced: list[Row]) -> int:
  """MACs that run beyond the declared ones, scope by scope."""
  run: dict[str, int] = {}
  for r in replaced:
    scope = r.scope.split("/")
    scope = "/".join(scope[: scope.index(SCOPE)])
    run[scope] = run.get(scope, 0) + (0 if r.declared else r.macs)
  for r in rows:
    if r.declared and r.scope in run:
      run[r.scope] -= r.macs
  return sum(max(n, 0) for n in run.values())


def is_foreign(scan: Scan, xs: list[Value], scope: str) -> bool:
  """Whether a scan is a recurrence over data that nobody declared.

  Scans over layers read parameters alone, and sums do not multiply their carry.
  """
  if is_replaced(scope) or scan.length < 2 or all(v.static for v in xs):
    return False
  body = opened(scan.body)[0]
  carry = body.invars[scan.consts : scan.consts + scan.carry]
  # A counter is multiplied to find a place, not to remember.
  floats = {v for v in carry if v.aval.shape and "float" in v.aval.dtype.name}
  return _multiplies(body, floats)


def _multiplies(jaxpr: Any, reached: set) -> bool:
  """Whether anything that comes from `reached` is an operand of a product."""
  reached = set(reached)
  for eqn in jaxpr.eqns:
    mine = [not isinstance(v, Literal) and v in reached for v in eqn.invars]
    if not any(mine):
      continue
    product = eqn.primitive.name in _PRODUCTS
    if product and not is_replaced(program.scope_of(eqn)):
      return True
    body = program.body(eqn)
    if body is not None:
      inner = opened(body)[0]
      if _multiplies(inner, {v for v, m in zip(inner.invars, mine) if m}):
        return True
    reached.update(eqn.outvars)
  return False
