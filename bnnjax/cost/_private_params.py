"""The equation parameters of scan, while and cond: private, and moving.

This is the one module of bnnjax that reads them. jax 0.10 gives a scan
`num_consts` and `num_carry` and wraps sub-programs in `ClosedJaxpr`; jax 0.12
gives it `ft_in` (one entry per flattened group) and plain `Jaxpr`s that carry
their own constants.
"""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Scan:
  """A scan: operands are `consts`, then `carry`, then the scanned arrays."""

  body: Any
  consts: int
  carry: int
  length: int


@dataclasses.dataclass(frozen=True)
class While:
  """A while: operands are the constants of `cond`, of `body`, then the carry."""

  cond: Any
  cond_consts: int
  body: Any
  body_consts: int


def scan(eqn: Any) -> Scan:
  """Reads a scan equation of either jax version."""
  params = eqn.params
  if "num_consts" in params:
    consts, carry = params["num_consts"], params["num_carry"]
  else:
    consts, carry = (len(tree) for tree in params["ft_in"].unpack()[:2])
  return Scan(params["jaxpr"], consts, carry, params["length"])


def while_(eqn: Any) -> While:
  """Reads a while equation."""
  params = eqn.params
  return While(
    params["cond_jaxpr"],
    params["cond_nconsts"],
    params["body_jaxpr"],
    params["body_nconsts"],
  )


def branches(eqn: Any) -> tuple:
  """The branches of a cond (or switch); operand 0 is the index."""
  return tuple(eqn.params["branches"])


def opened(jaxpr: Any) -> tuple[Any, tuple]:
  """Splits a (possibly closed) jaxpr into the open one and its constants."""
  return getattr(jaxpr, "jaxpr", jaxpr), tuple(getattr(jaxpr, "consts", ()))


def devices(eqn: Any) -> int:
  """How many devices run the body of a shard_map."""
  mesh = eqn.params["mesh"]
  names = eqn.params.get("manual_axes") or mesh.axis_names
  size = 1
  for name in names:
    size *= mesh.shape[name]
  return size


def has_effects(eqn: Any) -> bool:
  """Whether an equation does more than give results (prints, callbacks).

  The use of a named axis is an effect in jax's books, and none here.
  """
  return any(type(e).__name__ != "NamedAxisEffect" for e in eqn.effects)
