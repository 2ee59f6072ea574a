"""Static values as expressions of parameters and constants.

`identified` tells which of them are equal: a kernel that is binarized twice is
stored once, and a mask beside `1 - mask` is one bit. `evaluate` tells what small
constants hold: selections are written as products with a one-hot array
(`lax.conv_general_dilated_patches`), and sums as products with ones. Only their
numbers show it. They are evaluated with numpy, on demand, and no parameter ever
is.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from bnnjax.core import equations
from bnnjax.core.equations import Operation
from bnnjax.cost.abstract_value import AbstractValue, replace

_LIMIT = 2**22  # elements; im2col of 512 channels by a 3x3 kernel has 41,472
# The same elements in another order: a tied kernel may be read transposed.
_REORDERED = frozenset(
  ("transpose", "reshape", "squeeze", "expand_dims", "rev", "copy", "copy_p")
)
_INVERTIBLE = frozenset(("add", "sub", "mul", "div", "neg", "not", "xor"))


def _iota(params: dict[str, Any]) -> np.ndarray:
  d, shape = params["dimension"], params["shape"]
  line = np.arange(shape[d]).reshape([-1 if i == d else 1
                                      for i in range(len(shape))])  # fmt: skip
  return np.broadcast_to(line, shape).astype(params["dtype"])


def _broadcast(params: dict[str, Any], x: np.ndarray) -> np.ndarray:
  shape, to = params["shape"], params["broadcast_dimensions"]
  aligned = [1] * len(shape)
  for d, n in zip(to, x.shape):
    aligned[d] = n
  return np.broadcast_to(x.reshape(aligned), shape)


_NUMPY = {
  "add": np.add,
  "sub": np.subtract,
  "mul": np.multiply,
  "max": np.maximum,
  "min": np.minimum,
  "eq": np.equal,
  "ne": np.not_equal,
  "lt": np.less,
  "le": np.less_equal,
  "gt": np.greater,
  "ge": np.greater_equal,
  "and": np.bitwise_and,
  "or": np.bitwise_or,
  "not": np.invert,
}

_EVALUATED: dict[str, Callable] = {
  "iota": _iota,
  "broadcast_in_dim": _broadcast,
  "reshape": lambda p, x: x.reshape(p["new_sizes"]),
  "squeeze": lambda p, x: x.squeeze(tuple(p["dimensions"])),
  "transpose": lambda p, x: x.transpose(p["permutation"]),
  "rev": lambda p, x: np.flip(x, p["dimensions"]),
  "convert_element_type": lambda p, x: x.astype(p["new_dtype"]),
  "copy": lambda p, x: x,
  "stop_gradient": lambda p, x: x,
  "concatenate": lambda p, *xs: np.concatenate(xs, p["dimension"]),
  "select_n": lambda p, which, *cases: np.choose(which.astype(int), cases),
  **{
    name: lambda p, *xs, f=function: f(*xs) for name, function in _NUMPY.items()
  },
}


def recorded(op: Operation) -> Any:
  """`AbstractValue.expression` of a result; `None`: it is no constant."""
  if op.name not in _EVALUATED or any(v.expression is None for v in op.ins):
    return None
  return (op.eqn, tuple(op.ins))


def evaluate(v: AbstractValue) -> np.ndarray | None:
  """The array behind a value, if it is a small constant.

  Example: `eq(iota(3), broadcast(1))` is `[False, True, False]`.
  """
  if not isinstance(v.expression, tuple):
    x = v.expression
    small = x is not None and math.prod(np.shape(x)) <= _LIMIT
    return np.asarray(x) if small else None
  eqn, ins = v.expression
  if math.prod(eqn.outvars[0].aval.shape) > _LIMIT:
    return None
  arrays = [evaluate(x) for x in ins]
  if any(x is None for x in arrays):
    return None
  return _EVALUATED[eqn.primitive.name](eqn.params, *arrays)


def identified(op: Operation, outs: list[AbstractValue]) -> list[AbstractValue]:
  """Gives static results the id of how they were computed.

  Example: `sign(w)` and `sign(w)` have one id; `w.T` has that of `w`; `1 - mask`
  has an id of its own and the root of `mask`.
  """
  if not any(v.static and not v.expression_id for v in outs):
    return outs
  params: Any = ()
  if not any(True for _ in equations.inner(op.eqn)):
    params = repr(sorted(op.params.items(), key=lambda item: item[0]))
  key = (op.name, params, *(v.expression_id for v in op.ins))
  kept = op.ins[0].expression_id if op.name in _REORDERED else 0
  root = _root(op)
  return [
    replace(
      v,
      expression_id=_of_constant(v) or kept or hash((key, i)),
      root_id=root,
    )
    if v.static and not v.expression_id
    else v
    for i, v in enumerate(outs)
  ]


def _of_constant(v: AbstractValue) -> int:
  """An id that does not depend on the shape; 0: it is not one known number."""
  return 0 if v.const is None else hash(("constant", v.const))


def _root(op: Operation) -> int:
  """The id that the result carries too, up to a constant multiply-add.

  0 where the operand cannot be computed back from the result.
  """
  name, ins = op.name, op.ins
  if name in _REORDERED:
    return ins[0].root_id
  data = [v for v in ins if v.const is None]
  vanishes = name in ("mul", "div") and any(v.const == 0 for v in ins)
  inverted = name == "div" and ins[0].const is not None
  if len(data) != 1 or vanishes or inverted:
    return 0
  exact = name == "convert_element_type" and _keeps_integers_apart(op.eqn)
  if not exact and name not in _INVERTIBLE:
    return 0
  return data[0].root_id or data[0].expression_id


def _keeps_integers_apart(eqn: Any) -> bool:
  """Whether a conversion maps different small integers to different numbers."""
  kind = eqn.invars[0].aval.dtype.kind
  return kind in "bui" or eqn.outvars[0].aval.dtype.kind not in "bui"
