"""Reading the equations of a jaxpr: parameters, sub-programs, named scopes.

This is the one module of bnnjax that reads the private parameters of scan,
while and cond. jax 0.10 gives a scan `num_consts` and `num_carry` and wraps
sub-programs in `ClosedJaxpr`; jax 0.12 gives it `ft_in` (one entry per
flattened group) and plain `Jaxpr`s that carry their own constants.
"""

import dataclasses
import re
from collections.abc import Container, Iterator, Sequence
from typing import Any

import jax

_BODIES = ("jaxpr", "call_jaxpr", "fun_jaxpr", "call", "callee")
_TRANSFORM = re.compile(r"\b\w+\(")
_MARKS = frozenset(("", "rematted_computation", "checkpoint"))
CONTRACTIONS = frozenset(("dot_general", "conv_general_dilated"))
# Multiply and accumulate, but not as a dot or convolution of two operands.
_HEAVY = (
  "fft cholesky triangular_solve eigh eig svd qr lu householder_product"
  " ragged_dot_general ragged_dot scaled_matmul_wrapper tridiagonal_solve"
  " schur hessenberg geqrf geqp3 ormqr symmetric_product"
  " dot_product_attention_fwd_wrapper dot_product_attention_bwd_wrapper"
  " dot_product_attention_fp8_fwd_wrapper dot_product_attention_fp8_bwd_wrapper"
  " custom_linear_solve linear_solve tridiagonal scaled_dot scaled_matmul"
  " cholesky_update"
)
HEAVY = frozenset(_HEAVY.split())
_HIDDEN = (
  "pure_callback io_callback ffi_call call_exported pallas_call core_call"
  " custom_partitioning tpu_custom_call triton_kernel_call mosaic_gpu_p"
)
HIDDEN = frozenset(_HIDDEN.split())
# Neither float arithmetic nor hidden code: indices, random bits, communication.
_QUIET = (
  "iota scatter top_k approx_top_k bitcast_convert_type reduce_xor random_seed"
  " random_wrap random_unwrap random_bits random_split random_fold_in"
  " random_clone threefry2x32 rng_bit_generator rng_uniform axis_index psum"
  " psum2 psum_invariant psum_scatter pmax pmin all_to_all ragged_all_to_all"
  " reduce_scatter create_token after_all debug_callback debug_print empty"
  " empty2 eq_to lt_to le_to full zeros_like platform_index dce_sink"
  " expand_dims mulhi broadcast_to dimension_size inspect_sharding"
  " iota_2x32_shape"
)
QUIET = frozenset(_QUIET.split())
_MACS = CONTRACTIONS | HEAVY | HIDDEN


@dataclasses.dataclass(frozen=True)
class Operation:
  """An equation at its place in a program, which rules interpret.

  Attributes:
    eqn: the equation.
    ins: abstract values of its operands.
    scope: path of the named scopes around it.
    wanted: which of its results are read.
    interpreter: interprets sub-programs and keeps the ledger.
  """

  eqn: Any
  ins: list[Any]
  scope: str
  wanted: tuple[bool, ...]
  interpreter: Any

  @property
  def name(self) -> str:
    return self.eqn.primitive.name

  @property
  def params(self) -> dict[str, Any]:
    return self.eqn.params

  @property
  def shape(self) -> tuple[int, ...]:
    """Of the first result."""
    return self.eqn.outvars[0].aval.shape

  @property
  def shapes(self) -> list[tuple[int, ...]]:
    """Of the operands."""
    return [v.aval.shape for v in self.eqn.invars]

  @property
  def static(self) -> bool:
    """Whether it depends on parameters and constants only."""
    return all(v.static for v in self.ins)


@dataclasses.dataclass(frozen=True)
class Scan:
  """A scan: operands are `consts`, then `carry`, then the scanned arrays."""

  body: Any
  consts: int
  carry: int
  length: int
  reverse: bool
  unroll: int


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
  names = ("length", "reverse", "unroll")
  return Scan(params["jaxpr"], consts, carry, *(params[n] for n in names))


def while_(eqn: Any) -> While:
  """Reads a while equation."""
  names = ("cond_jaxpr", "cond_nconsts", "body_jaxpr", "body_nconsts")
  return While(*(eqn.params[name] for name in names))


def branches(eqn: Any) -> tuple:
  """The branches of a cond (or switch); operand 0 is the index."""
  return tuple(eqn.params["branches"])


def for_platforms(eqn: Any) -> bool:
  """Whether the branches of a cond are for platforms, not for values."""
  return eqn.params.get("branches_platforms") is not None


def remat_options(eqn: Any) -> dict[str, Any]:
  """The arguments of `jax.checkpoint` for a remat equation."""
  prevent = eqn.params["prevent_cse"]  # or one for each operand
  prevent = any(prevent) if isinstance(prevent, tuple) else prevent
  return {"prevent_cse": prevent, "policy": eqn.params["policy"]}


def shardings(eqn: Any) -> tuple[list, list]:
  """Shardings of operands and results that a jit asks for; `None`: none."""

  def asked(key: str, count: int) -> list:
    given = eqn.params.get(key) or (None,) * count
    return [x if isinstance(x, jax.sharding.Sharding) else None for x in given]

  return (
    asked("in_shardings", len(eqn.invars)),
    asked("out_shardings", len(eqn.outvars)),
  )


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
  """Whether an equation does more than return results (prints, callbacks).

  JAX counts the use of a named axis as an effect; we do not.
  """
  return any(type(e).__name__ != "NamedAxisEffect" for e in eqn.effects)


def body(eqn: Any) -> Any:
  """The sub-program that takes exactly the operands of the equation."""
  for key in _BODIES:
    found = eqn.params.get(key)
    jaxpr = opened(found)[0]
    if not hasattr(jaxpr, "eqns"):
      continue
    operands = len(jaxpr.invars) == len(eqn.invars)
    if operands and len(jaxpr.outvars) == len(eqn.outvars):
      return found
  return None


def inner(eqn: Any) -> Iterator[Any]:
  """Every jaxpr among the parameters of an equation."""
  for v in eqn.params.values():
    for x in v if isinstance(v, (tuple, list)) else (v,):
      x = getattr(x, "jaxpr", x)
      if hasattr(x, "eqns"):
        yield x


def is_derivative(eqn: Any) -> bool:
  """Whether an equation belongs to a derivative (`jax.grad`, `jax.jvp`)."""
  stack = str(eqn.source_info.name_stack)
  return "jvp(" in stack or "transpose(" in stack


def contracts(jaxpr: Any) -> bool:
  """Whether anything inside multiplies and accumulates, or cannot be seen."""
  return any(
    e.primitive.name in _MACS or any(contracts(j) for j in inner(e))
    for e in jaxpr.eqns
  )


def unseen(eqn: Any, known: Container[str]) -> str:
  """What to say about a primitive without a rule; "" if it is no work."""
  name = eqn.primitive.name
  if name in HEAVY:
    return f"`{name}` multiplies, but its work is not counted."
  if name in HIDDEN:
    return f"`{name}` runs code that cannot be counted."
  if any(contracts(j) for j in inner(eqn)):
    return f"`{name}` holds dot products or convolutions that are not counted."
  if name in QUIET or name in known:
    return ""
  return f"`{name}` is unknown: whatever it computes is not counted."


def scope_of(eqn: Any) -> str:
  """Named scopes of an equation, without the marks of transformations.

  Example: `"transpose(jvp(layer))/dot"` is `"layer/dot"`.
  """
  stack = str(eqn.source_info.name_stack)
  if not stack:
    return ""
  stack = _TRANSFORM.sub("", stack).replace(")", "")
  parts = [p for p in stack.split("/") if p not in _MARKS]
  half = len(parts) // 2
  # Backward passes of remat name their scopes twice.
  if half and parts[:half] == parts[half : 2 * half] and len(parts) % 2 == 0:
    parts = parts[:half]
  return "/".join(parts)


def join_scopes(outer: str, inner: str) -> str:
  """Path of a scope inside another; equal beginnings are not repeated."""
  if not outer or not inner:
    return outer or inner
  if inner == outer or inner.startswith(outer + "/"):
    return inner
  return f"{outer}/{inner}"


def place(scope: str, names: Sequence[str]) -> str:
  """A layer is named after the module that owns its weight, else its scope."""
  if names:
    return names[0].rpartition(".")[0] or scope or names[0]
  return scope
