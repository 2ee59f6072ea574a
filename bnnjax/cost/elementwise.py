"""Element-wise work: everything that is neither a dot nor a convolution.

Headline figures leave it out, so it has its own line. It is one scalar
operation per element of the result; a reduction counts its inputs, a scatter
its updates, a pooling the window times the outputs. What is computed from
parameters alone is folded before deployment and costs nothing.

A chain of additions and multiplications with such fixed operands (a batch norm
at evaluation, a bias, a scale) is one multiply-add per element and scope, listed
as `affine`: this is how batch norms are folded. It is not folded into the
convolution before it. Example: `(x - mean) * gamma + beta` of 32 elements is 32
`affine`, and `tanh` of it 32 `tanh`.
"""

import math
from typing import Any

import jax.numpy as jnp

from bnnjax.core.equations import Operation
from bnnjax.cost.abstract_value import AbstractValue, replace

AFFINE = "affine"
_AFFINE_OPS = frozenset(("add", "sub", "mul", "div", "add_any", "neg"))
_ELEMENTWISE = (
  "add add_any sub mul div max min neg abs sign exp exp2 expm1 log log1p log2"
  " tanh tan sin cos asin acos atan atan2 sinh cosh asinh acosh atanh logistic"
  " sqrt rsqrt cbrt pow integer_pow square round floor ceil clamp erf erfc"
  " erf_inv rem nextafter is_finite eq ne lt le gt ge and or not xor"
  " population_count shift_left shift_right_logical shift_right_arithmetic"
  " lgamma digamma clz real imag conj complex igamma igammac igamma_grad_a"
  " bessel_i0e bessel_i1e polygamma zeta regularized_incomplete_beta"
  " one_minus_square polynomial"
)
ELEMENTWISE = frozenset(_ELEMENTWISE.split())
_REDUCTIONS = (
  "reduce_sum reduce_max reduce_min reduce_prod reduce_and reduce_or argmax"
  " argmin reduce"
)
_REDUCE = frozenset(_REDUCTIONS.split())
_WINDOWS = (
  "reduce_window reduce_window_sum reduce_window_max reduce_window_min"
  " select_and_scatter select_and_scatter_add select_and_gather_add"
)
_WINDOW = frozenset(_WINDOWS.split())
_SCATTERS = (
  "scatter-add scatter_add scatter-mul scatter_mul scatter-min scatter_min"
  " scatter-max scatter_max scatter_sub scatter-sub"
)
_SCATTER = frozenset(_SCATTERS.split())
_OTHERS = "select_n cumsum cumprod cummax cummin cumlogsumexp sort"
_ONE_PER_ELEMENT = frozenset(_OTHERS.split())
KNOWN = ELEMENTWISE | _REDUCE | _WINDOW | _SCATTER | _ONE_PER_ELEMENT


def _is_float(v: Any) -> bool:
  return hasattr(v.aval, "dtype") and jnp.issubdtype(v.aval.dtype, jnp.floating)


def _affine_operand(op: Operation) -> AbstractValue | None:
  """The data operand of a multiplication or addition with a fixed one."""
  data = [v for v in op.ins if not v.static]
  if op.name not in _AFFINE_OPS or len(data) != 1:
    return None
  divides = op.name == "div" and not op.ins[1].static
  return None if divides else data[0]


def count(op: Operation) -> list[tuple[str, str, int]]:
  """Element-wise work of one equation as `(scope, name, operations)`."""
  eqn, name = op.eqn, op.name
  if name not in KNOWN or op.static or not any(map(_is_float, eqn.invars)):
    return []
  data = _affine_operand(op)
  if data is not None:
    if data.affine == op.scope:
      return []
    name = AFFINE
  elements = eqn.outvars[0]
  if name in _REDUCE:
    elements = eqn.invars[0]
  elif name in _SCATTER:
    elements = eqn.invars[2]
  size = math.prod(elements.aval.shape)
  if name in _WINDOW:
    size *= math.prod(eqn.params.get("window_dimensions", ()))
  return [(op.scope, name, size * op.interpreter.times)]


def mark_affine(op: Operation, out: AbstractValue) -> AbstractValue:
  """Remembers where `out` is a fixed multiply-add of this scope."""
  return replace(out, affine=op.scope) if _affine_operand(op) else out
