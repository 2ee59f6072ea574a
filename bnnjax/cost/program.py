"""Reading equations: their sub-programs and named scopes."""

import re
from collections.abc import Container, Iterator, Sequence
from typing import Any

from bnnjax.cost._private_params import opened
from bnnjax.cost.values import Value, replace

_BODIES = ("jaxpr", "call_jaxpr", "fun_jaxpr", "call", "callee")
_TRANSFORM = re.compile(r"\b\w+\(")
_MARKS = frozenset(("", "rematted_computation", "checkpoint"))
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
# Neither arithmetic of floats nor code: indices, random bits, communication.
_QUIET = (
  "iota scatter top_k approx_top_k bitcast_convert_type reduce_xor"
  " dynamic_update_slice random_seed random_wrap random_unwrap random_bits"
  " random_split random_fold_in random_clone threefry2x32 rng_bit_generator"
  " rng_uniform axis_index psum psum2 psum_invariant psum_scatter pmax pmin"
  " all_to_all ragged_all_to_all reduce_scatter create_token after_all"
  " debug_callback debug_print empty empty2 eq_to lt_to le_to full zeros_like"
  " platform_index dce_sink clz split unstack concatenate stack pad select_n"
  " optimization_barrier device_put expand_dims mulhi"
  " broadcast_to dimension_size inspect_sharding iota_2x32_shape"
)
QUIET = frozenset(_QUIET.split())
_MACS = frozenset(("dot_general", "conv_general_dilated")) | HEAVY | HIDDEN


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


def contracts(jaxpr: Any) -> bool:
  """Whether anything inside multiplies and accumulates, or cannot be seen."""
  return any(
    e.primitive.name in _MACS or any(contracts(j) for j in inner(e))
    for e in jaxpr.eqns
  )


def unseen(eqn: Any, known: Container[str]) -> str:
  """What to say of a primitive without a rule; "" if it is no work."""
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
  """Named scopes of an equation, without the marks of transformations."""
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
  """A layer is called as the module that owns its weight, else by its scope."""
  if names:
    return names[0].rpartition(".")[0] or scope or names[0]
  return scope


# The same elements in another order: a tied kernel may be read transposed.
_REORDERED = frozenset(
  ("transpose", "reshape", "squeeze", "expand_dims", "rev", "copy", "copy_p")
)
_INVERTIBLE = frozenset(("add", "sub", "mul", "div", "neg", "not", "xor"))


def numbered(
  eqn: Any, ins: Sequence[Value], outs: Sequence[Value]
) -> list[Value]:
  """Gives static results the number of how they were computed."""
  params: Any = ()
  if not any(True for _ in inner(eqn)):
    params = repr(sorted(eqn.params.items(), key=lambda item: item[0]))
  key = (eqn.primitive.name, params, *(v.number for v in ins))
  kept = ins[0].number if eqn.primitive.name in _REORDERED else 0
  root = _root(eqn, ins)
  return [
    replace(v, number=_number(v, kept) or hash((key, i)), root=root)
    if v.static and not v.number
    else v
    for i, v in enumerate(outs)
  ]


def _number(v: Value, kept: int) -> int:
  """Numbers that do not depend on the shape; 0 where there is none."""
  return hash(("constant", v.const)) if v.const is not None else kept


def _root(eqn: Any, ins: Sequence[Value]) -> int:
  """The number that the result carries too, up to a constant multiply-add."""
  name = eqn.primitive.name
  if name in _REORDERED:
    return ins[0].root
  data = [v for v in ins if v.const is None]
  if len(data) != 1 or (
    name in ("mul", "div") and any(v.const == 0 for v in ins)
  ):
    return 0
  if name == "div" and ins[0].const is not None:
    return 0
  exact = name == "convert_element_type" and _keeps(eqn)
  return (data[0].root or data[0].number) if exact or name in _INVERTIBLE else 0


def _keeps(eqn: Any) -> bool:
  """Whether a conversion keeps every small integer apart."""
  kind = eqn.invars[0].aval.dtype.kind
  return kind in "bui" or eqn.outvars[0].aval.dtype.kind not in "bui"
