"""Which dots and convolutions of a jaxpr have a named parameter as kernel.

A parameter is followed through casts, changes of layout, slices, sub-programs
and scans to the contractions that it is an operand of. Arithmetic and
concatenation end its way: a normalized weight is no parameter any more.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from jax.extend.core import Literal

from bnnjax.core import equations

# The values stay where they are; only dtype, device or derivative change.
_SAME = frozenset(
  [
    "convert_element_type",
    "stop_gradient",
    "copy",
    "copy_p",
    "sharding_constraint",
    "name",
    "reduce_precision",
    "optimization_barrier",
    "device_put",
    "pvary",
    "pcast",
    "reshard",
    "mesh_cast",
  ]
)
_LAYOUT = frozenset(
  ["transpose", "reshape", "squeeze", "expand_dims", "broadcast_in_dim", "rev"]
)
_SLICES = frozenset(["slice", "dynamic_slice", "split"])
_INLINED = frozenset(["jit", "pjit", "closed_call", "core_call"])
_REMAT = frozenset(["remat", "remat2", "checkpoint"])
CALLS = _INLINED | _REMAT
_PRODUCTS = frozenset(
  name for name in equations.HEAVY if "dot" in name or "matmul" in name
)


@dataclasses.dataclass(frozen=True)
class Step:
  """A change of layout: an equation of one operand."""

  primitive: Any
  params: Mapping[str, Any]


SLICED = Step("slice", {})  # a part of the parameter
UNSTACKED = Step("unstack", {})  # what an iteration of a scan sees of it


@dataclasses.dataclass(frozen=True)
class Kernel:
  """A parameter on its way to a contraction.

  Attributes:
    path: dotted path of the parameter.
    steps: how its layout has changed.
  """

  path: str
  steps: tuple[Step, ...] = ()

  def after(self, step: Step) -> "Kernel":
    """The kernel after another step."""
    return dataclasses.replace(self, steps=(*self.steps, step))

  @property
  def is_part(self) -> bool:
    """Whether it is a slice of the parameter."""
    return SLICED in self.steps


@dataclasses.dataclass(frozen=True)
class Use:
  """A contraction with a kernel.

  Attributes:
    kernel: what the operand is.
    eqn: the contraction.
    side: which operand it is: 0 (left) or 1 (right).
    obstacle: why the contraction cannot be rewritten; "" if it can.
  """

  kernel: Kernel
  eqn: Any
  side: int
  obstacle: str = ""


Kernels = list[Kernel | None]
Found = tuple[Kernels, list[Use]]


def follow(jaxpr: Any, ins: Sequence[Kernel | None], obstacle="") -> Found:
  """Follows parameters through a (possibly closed) jaxpr.

  Args:
    jaxpr: the program.
    ins: what its inputs are; `None` for all but kernels.
    obstacle: why nothing inside can be rewritten, see `Use`.

  Returns:
    What its results are, and the uses in the order of the equations.
  """
  jaxpr, _ = equations.opened(jaxpr)
  env = Env(zip(jaxpr.invars, ins, strict=True))
  uses = []
  for eqn in jaxpr.eqns:
    outs, found = follow_equation(eqn, env.read(eqn.invars), obstacle)
    env.update(zip(eqn.outvars, outs, strict=True))
    uses += found
  return env.read(jaxpr.outvars), uses


class Env(dict):
  """Which variables of a jaxpr are kernels."""

  def read(self, atoms: Sequence[Any]) -> Kernels:
    """The kernels of variables; `None` for others and for literals."""
    return [None if isinstance(v, Literal) else self.get(v) for v in atoms]


def follow_equation(
  eqn: Any, ins: Sequence[Kernel | None], obstacle: str = ""
) -> Found:
  """Follows parameters through one equation; see `follow`."""
  none: Kernels = [None] * len(eqn.outvars)
  if not any(ins):
    return none, []
  if not obstacle and equations.is_derivative(eqn):
    obstacle = (
      "belongs to a derivative: binarize the function without `jax.grad` or"
      " `jax.jvp`, and differentiate the result"
    )
  name, kernel = eqn.primitive.name, ins[0]
  if name in _RULES:
    return _RULES[name](eqn, ins, obstacle)
  if name in _SAME:
    return [k if _is_float(v) else None for k, v in zip(ins, eqn.outvars)], []
  if name in _SLICES:
    return [kernel and kernel.after(SLICED)] * len(eqn.outvars), []
  if name in _LAYOUT:
    sizes = [math.prod(v.aval.shape) for v in (eqn.invars[0], *eqn.outvars)]
    if kernel is None or sizes[0] != sizes[1]:
      return none, []
    return [kernel.after(Step(eqn.primitive, eqn.params))], []
  body = equations.body(eqn)
  if body is not None and name in CALLS:
    return follow(body, ins, obstacle)
  if body is not None:
    obstacle = obstacle or f"is inside `{name}`, whose body stays as it is"
    return none, follow(body, ins, obstacle)[1]
  if name in _PRODUCTS or any(map(equations.contracts, equations.inner(eqn))):
    obstacle = obstacle or f"runs in `{name}`, which stays as it is"
    return none, [Use(k, eqn, i, obstacle) for i, k in enumerate(ins) if k]
  return none, []


def _is_float(v: Any) -> bool:
  return jnp.issubdtype(v.aval.dtype, jnp.floating)


def _contraction(eqn, ins, obstacle) -> Found:
  """A product of two parameters belongs to the right one."""
  side = 0 if ins[1] is None else 1
  is_conv = eqn.primitive.name == "conv_general_dilated"
  if is_conv:
    is_product = side == 1
  else:
    is_product = bool(eqn.params["dimension_numbers"][0][0])
  if not is_product or not all(map(_is_float, (*eqn.invars, *eqn.outvars))):
    return [None], []
  if not obstacle and eqn.params.get("out_sharding") is not None:
    obstacle = "has an explicit sharding of its result"
  return [None], [Use(ins[side], eqn, side, obstacle)]


def of_scan_body(eqn: Any, ins: Sequence[Kernel | None]) -> Kernels:
  """What the inputs of the body of a scan are.

  A carry is only followed if no iteration changes it.
  """
  s = equations.scan(eqn)
  body, _ = equations.opened(s.body)
  fixed, scanned = ins[: s.consts], ins[s.consts + s.carry :]
  carry = _unchanged(ins[s.consts : s.consts + s.carry], body, s.consts)
  return [*fixed, *carry, *(k and k.after(UNSTACKED) for k in scanned)]


def of_while_parts(
  eqn: Any, ins: Sequence[Kernel | None]
) -> tuple[Kernels, Kernels]:
  """What the inputs of condition and body of a while are."""
  w = equations.while_(eqn)
  body, _ = equations.opened(w.body)
  n, m = w.cond_consts, w.cond_consts + w.body_consts
  carry = _unchanged(ins[m:], body, w.body_consts)
  return [*ins[:n], *carry], [*ins[n:m], *carry]


def _unchanged(carry, body, start: int) -> Kernels:
  after = zip(body.invars[start:], body.outvars)
  return [k if a is b else None for k, (a, b) in zip(carry, after)]


def _scan(eqn, ins, obstacle) -> Found:
  s = equations.scan(eqn)
  inner = of_scan_body(eqn, ins)
  _, uses = follow(s.body, inner, obstacle)
  carry = inner[s.consts : s.consts + s.carry]
  return [*carry, *[None] * (len(eqn.outvars) - s.carry)], uses


def _while(eqn, ins, obstacle) -> Found:
  w = equations.while_(eqn)
  of_cond, of_body = of_while_parts(eqn, ins)
  _, uses = follow(w.cond, of_cond, obstacle)
  _, more = follow(w.body, of_body, obstacle)
  return of_body[w.body_consts :], uses + more


def _cond(eqn, ins, obstacle) -> Found:
  if not obstacle and equations.for_platforms(eqn):
    obstacle = "is in code for one platform (`lax.platform_dependent`)"
  branches = [
    follow(branch, ins[1:], obstacle) for branch in equations.branches(eqn)
  ]
  outs = [
    same[0] if all(k == same[0] for k in same) else None
    for same in zip(*(outs for outs, _ in branches))
  ]
  return outs, [use for _, uses in branches for use in uses]


_RULES: dict[str, Callable[..., Found]] = {
  "dot_general": _contraction,
  "conv_general_dilated": _contraction,
  "scan": _scan,
  "while": _while,
  "cond": _cond,
}


def is_remat(eqn: Any) -> bool:
  """Whether an equation is a `jax.checkpoint`."""
  return eqn.primitive.name in _REMAT
