"""Recurrences: declared ones, and those that are counted as written."""

from collections.abc import Sequence
from typing import Any

from jax.extend.core import Literal

from bnnjax.core import equations
from bnnjax.core.declared_cost import SCOPE
from bnnjax.core.equations import Operation
from bnnjax.cost.abstract_value import AbstractValue
from bnnjax.cost.ledger import Row

AS_WRITTEN = (
  "scan over data whose carry is multiplied: a recurrence, counted as it is"
  " written, so that element-wise products of its state have no MACs and another"
  " way to write it may count otherwise. `bnnjax.core.declared_cost.counted_as`"
  " declares its own cost."
)
_PRODUCTS = equations.CONTRACTIONS | {"mul", "div"}


def is_replaced(scope: str) -> bool:
  """Whether work of this scope runs in place of a declaration."""
  return SCOPE in scope.split("/")


def declared(op: Operation) -> list[AbstractValue]:
  """Writes down the row of a declaration; its operands pass unchanged."""
  w_bits, a_bits = op.params["bits"]
  what, times = op.params["what"], op.interpreter.times
  op.interpreter.ledger.rows.append(
    Row(
      path=equations.place(op.scope, ()),
      scope=op.scope,
      op="dot",
      shapes=(),
      macs=times * op.params["macs"],
      w_bits=w_bits,
      a_bits=a_bits,
      length=op.params["length"],
      times=times,
      declared=what,
      replaced=is_replaced(op.scope),
    )
  )
  text = f"counted as {what}; products that run beyond it are 'extra MACs'."
  op.interpreter.ledger.note(op.scope, text)
  return op.ins


def extra_macs(rows: Sequence[Row], replaced: Sequence[Row]) -> int:
  """MACs that run beyond the declared ones, scope by scope.

  Example: a scope declares 100 MACs and its chunks multiply 130: 30.
  """
  run: dict[str, int] = {}
  for r in replaced:
    scope = r.scope.split("/")
    scope = "/".join(scope[: scope.index(SCOPE)])
    run[scope] = run.get(scope, 0) + (0 if r.declared else r.macs)
  for r in rows:
    if r.declared and r.scope in run:
      run[r.scope] -= r.macs
  return sum(max(n, 0) for n in run.values())


def is_undeclared(
  scan: equations.Scan, xs: list[AbstractValue], scope: str
) -> bool:
  """Whether a scan is a recurrence over data that nobody declared.

  Scans over layers read parameters only, and sums do not multiply their carry.
  """
  if is_replaced(scope) or scan.length < 2 or all(v.static for v in xs):
    return False
  body = equations.opened(scan.body)[0]
  carry = body.invars[scan.consts : scan.consts + scan.carry]
  # A counter is multiplied to compute an index, not to remember.
  floats = {v for v in carry if v.aval.shape and "float" in v.aval.dtype.name}
  return _multiplies(body, floats)


def _multiplies(jaxpr: Any, reached: set) -> bool:
  """Whether anything that comes from `reached` is an operand of a product.

  Example: `h = a * h + x` multiplies its carry `h`; `s = s + x * y` does not
  multiply `s`.
  """
  reached = set(reached)
  for eqn in jaxpr.eqns:
    mine = [not isinstance(v, Literal) and v in reached for v in eqn.invars]
    if not any(mine):
      continue
    product = eqn.primitive.name in _PRODUCTS
    if product and not is_replaced(equations.scope_of(eqn)):
      return True
    body = equations.body(eqn)
    if body is not None:
      inner = equations.opened(body)[0]
      if _multiplies(inner, {v for v, m in zip(inner.invars, mine) if m}):
        return True
    reached.update(eqn.outvars)
  return False
