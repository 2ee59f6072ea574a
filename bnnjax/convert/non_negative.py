"""Which kernels of a traced program meet inputs that are never negative.

A sign maps such an input, what a ReLU returns, to +1 everywhere. The jaxpr is
interpreted with one bit for each variable: whether it is known to be >= 0. A
primitive without a rule says nothing of its results.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from bnnjax.convert.kernels import Use
from bnnjax.core import equations
from bnnjax.core.binarizer import Binarizer
from bnnjax.core.progress import DEPLOYED
from bnnjax.core.schedule import resolve

Signs = list[bool]
Seen = dict[int, Signs]  # by `id` of a contraction: its operands

_ALWAYS = frozenset(("abs", "exp", "exp2", "logistic", "erfc", "square"))
# Never negative if no operand is.
_IF_NO_OPERAND = (
  "add add_any mul div max min concatenate pad reshape transpose copy copy_p"
  " broadcast_in_dim squeeze expand_dims slice rev split name tile"
  " stop_gradient reduce_precision sharding_constraint convert_element_type"
  " reduce_sum reduce_max reduce_min reduce_prod reduce_window_sum"
  " reduce_window_max reduce_window_min cumsum cummax cummin cumprod sqrt rsqrt"
  " cbrt log1p expm1 tanh erf sinh asinh atan floor ceil round sign pow"
  " dot_general conv_general_dilated device_put"
)
_CLOSED = frozenset(_IF_NO_OPERAND.split())
_FIRST = frozenset(("dynamic_slice", "gather"))  # the others are indices
_KEEP_THE_SIGN = frozenset(("example_std", "token_std"))
# Points at which binarizers are tried.
_SAMPLE = np.linspace(0, 3, 16, dtype=np.float32).reshape(4, 4)


def has_one_value(binarizer: Binarizer | None) -> bool:
  """Whether a binarizer gives one value for all numbers that are not negative.

  A sign does. {0, 1} and grids of more values do not, nor does a sign behind a
  transform that may shift its input.
  """
  if binarizer is None or binarizer.grid != (-1, 1) or binarizer.is_soft:
    return False
  transform, estimator = binarizer.transform, binarizer.estimator
  if estimator.init is not None:
    return False
  if transform is not None and transform.name not in _KEEP_THE_SIGN:
    return False
  hp = resolve(binarizer.estimator_hp, DEPLOYED)
  with jax.ensure_compile_time_eval():
    values = estimator.value(jnp.asarray(_SAMPLE), 1.0, {}, **hp)
    return len(np.unique(values)) == 1


def kernels(jaxpr: Any, uses: Sequence[Use]) -> set[str]:
  """Paths of the kernels, all of whose inputs are never negative.

  Args:
    jaxpr: a closed jaxpr; of its inputs nothing is known.
    uses: its contractions with a kernel, see `bnnjax.convert.kernels.follow`.
  """
  seen: Seen = {}
  _follow(jaxpr, [False] * len(equations.opened(jaxpr)[0].invars), seen)
  signed = {
    use.kernel.path
    for use in uses
    if id(use.eqn) not in seen or not seen[id(use.eqn)][1 - use.side]
  }
  return {use.kernel.path for use in uses} - signed


def _follow(jaxpr: Any, ins: Signs, seen: Seen) -> Signs:
  """Signs of the results of a (possibly closed) jaxpr."""
  jaxpr, _ = equations.opened(jaxpr)
  env = dict(zip(jaxpr.invars, ins, strict=True))

  def read(v: Any) -> bool:
    if isinstance(v, Literal):
      return bool(np.isrealobj(v.val) and np.all(v.val >= 0))
    return env.get(v, False) or _is_unsigned(v)

  for eqn in jaxpr.eqns:
    env |= zip(eqn.outvars, _equation(eqn, [*map(read, eqn.invars)], seen))
  return [*map(read, jaxpr.outvars)]


def _repeated(
  body: Any, fixed: Signs, carry: Signs, xs: Signs, seen: Seen
) -> Signs:
  """Signs of a loop's results: of the carry those that every step keeps."""
  while True:
    outs = _follow(body, [*fixed, *carry, *xs], seen)
    kept = [a and b for a, b in zip(carry, outs)]
    if kept == carry:
      return [*carry, *outs[len(carry) :]]
    carry = kept


def _equation(eqn: Any, ins: Signs, seen: Seen) -> Signs:
  """Signs of the results of an equation."""
  name, count = eqn.primitive.name, len(eqn.outvars)
  if name in equations.CONTRACTIONS:
    before = seen.get(id(eqn), ins)  # a program may be called twice
    seen[id(eqn)] = [a and b for a, b in zip(before, ins)]
  if name == "scan":
    s = equations.scan(eqn)
    n, m = s.consts, s.consts + s.carry
    return _repeated(s.body, ins[:n], ins[n:m], ins[m:], seen)
  if name == "while":
    w = equations.while_(eqn)
    start = w.cond_consts
    fixed, carry = ins[start:][: w.body_consts], ins[start + w.body_consts :]
    return _repeated(w.body, fixed, carry, [], seen)
  if name == "cond":
    found = [_follow(b, ins[1:], seen) for b in equations.branches(eqn)]
    return [*map(all, zip(*found))]
  if name == "optimization_barrier":
    return ins
  body = equations.body(eqn)
  return [_sign(eqn, ins)] * count if body is None else _follow(body, ins, seen)


def _is_unsigned(v: Any) -> bool:
  dtype = getattr(v.aval, "dtype", None)  # random keys have one of their own
  kinds = ("bool", "unsigned integer")
  return isinstance(dtype, np.dtype) and jnp.isdtype(dtype, kinds)


def _sign(eqn: Any, ins: Signs) -> bool:
  """The sign of the results of an equation without a sub-program."""
  name = eqn.primitive.name
  if name == "integer_pow":
    return ins[0] or eqn.params["y"] % 2 == 0
  if name == "max":
    return any(ins)
  if name == "mul" and eqn.invars[0] is eqn.invars[1]:
    return True
  if name == "select_n":
    return all(ins[1:])
  if name == "clamp":  # min(max(x, low), high)
    return ins[2] and (ins[0] or ins[1])
  if name == "convert_element_type" and not jnp.issubdtype(
    eqn.params["new_dtype"], jnp.floating
  ):
    return False  # integers may wrap around
  if name in _FIRST:
    return ins[0]
  return name in _ALWAYS or (name in _CLOSED and all(ins))
