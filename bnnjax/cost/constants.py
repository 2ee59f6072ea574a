"""The values of small constants that a program builds for itself.

Selections are written as products with a one-hot array
(`lax.conv_general_dilated_patches`), and sums as products with ones: only the
numbers tell. Evaluated with numpy, when somebody asks, and never a parameter.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bnnjax.cost.values import Value

_LIMIT = 2**22  # elements; im2col of 512 channels by a 3x3 kernel has 41,472


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

RULES: dict[str, Callable] = {
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


def made(eqn: Any, ins: Sequence[Value]) -> Any:
  """What `Value.made` remembers of an equation; `None`: not a constant."""
  if eqn.primitive.name not in RULES or any(v.made is None for v in ins):
    return None
  return (eqn, tuple(ins))


def evaluate(v: Value) -> np.ndarray | None:
  """The array behind a value, if it is a small constant."""
  if not isinstance(v.made, tuple):
    small = v.made is not None and math.prod(np.shape(v.made)) <= _LIMIT
    return np.asarray(v.made) if small else None
  eqn, ins = v.made
  if math.prod(eqn.outvars[0].aval.shape) > _LIMIT:
    return None
  arrays = [evaluate(x) for x in ins]
  if any(x is None for x in arrays):
    return None
  return RULES[eqn.primitive.name](eqn.params, *arrays)
