"""From a function or a module to a jaxpr and the parameters behind it."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax

from bnnjax.cost import outputs, variables
from bnnjax.cost.abstract_value import dtype_bits
from bnnjax.cost.inputs import Inputs, argument_names, check_shapes


@dataclasses.dataclass(frozen=True)
class Traced:
  """A traced function.

  Attributes:
    name: what to call it in messages.
    jaxpr: the closed jaxpr.
    inputs: what each input of the jaxpr is: `Stored`, `STATE` or `DATA`.
    captured: bytes of arrays that the function closes over.
    notes: how arguments were read.
    warnings: results that cannot be seen, so that their work seems dead.
  """

  name: str
  jaxpr: Any
  inputs: tuple[variables.Stored | str, ...]
  captured: int
  notes: tuple[tuple[str, str], ...] = ()
  warnings: tuple[str, ...] = ()

  @property
  def stored(self) -> tuple[variables.Stored, ...]:
    """Parameters and statistics."""
    return tuple(x for x in self.inputs if isinstance(x, variables.Stored))


def name_of(fn: Any) -> str:
  """A name for messages."""
  if variables.is_module(fn):
    return type(fn).__name__
  return getattr(fn, "__qualname__", None) or type(fn).__name__


def trace(fn: Callable, args: tuple, kwargs: dict, params: Any) -> Traced:
  """Traces `fn` on shapes.

  Raises:
    TypeError: `fn` cannot be called.
    ValueError: it does not trace; the message says what to change.
  """
  if not callable(fn):
    raise TypeError(
      f"`count` takes a function or an nnx.Module, got {type(fn).__name__}."
    )
  name = name_of(fn)
  owner = getattr(fn, "__self__", fn)
  mine = (
    variables.is_module(owner)
    or variables.is_callable_pytree(owner)
    or _is_method_of_a_pytree(fn)
  )
  named = dict(zip(argument_names(fn, len(args)), args)) | kwargs
  check_shapes(name, {"self": owner} | named if mine else named)
  inputs = Inputs(fn, args, kwargs, params)
  rebuild = inputs.owner(owner) if mine else None
  method = type(fn).__call__ if owner is fn else getattr(fn, "__func__", None)
  unseen: list[str] = []

  def flat(*xs):
    called = outputs.noted(method, rebuild(xs)) if mine else outputs.noted(fn)
    out, given = inputs.call(called, xs)
    return outputs.arrays(out, given, xs, unseen)

  try:
    jaxpr = jax.make_jaxpr(flat)(*inputs.traced)
  except Exception as error:
    raise _untraceable(name, args, kwargs, error) from error
  captured = sum(
    math.prod(x.shape) * dtype_bits(x.dtype) // 8
    for x in getattr(jaxpr, "consts", ())
    if getattr(x, "ndim", 0) >= 2
  )
  return Traced(
    name,
    jaxpr,
    tuple(inputs.kinds),
    captured,
    tuple(inputs.notes),
    tuple(map(outputs.warning, dict.fromkeys(unseen))),
  )


def _is_method_of_a_pytree(fn: Any) -> bool:
  owner = getattr(fn, "__self__", None)
  is_method = hasattr(fn, "__func__") and owner is not None
  return is_method and not jax.tree_util.all_leaves([owner])


def _shape_text(x: Any) -> str:
  if variables.is_array(x):
    return f"{getattr(x.dtype, 'name', x.dtype)}{list(x.shape)}"
  return type(x).__name__ if variables.is_module(x) else repr(x)[:40]


def _untraceable(name, args, kwargs, error: Exception) -> ValueError:
  """The error of tracing, with the arguments and what to change."""
  given = ", ".join(
    [
      _shape_text(x)
      for x in jax.tree.leaves(args, is_leaf=variables.is_module)[:6]
    ]
    + [f"{k}={_shape_text(v)}" for k, v in list(kwargs.items())[:4]]
  )
  errors = jax.errors
  if isinstance(error, errors.NonConcreteBooleanIndexError):
    remedy = (
      "A shape depends on data (boolean indexing): use `jnp.where(mask, x, 0)`"
      " or `jnp.nonzero(..., size=n)`."
    )
  elif isinstance(
    error, errors.ConcretizationTypeError | errors.TracerIntegerConversionError
  ):
    remedy = (
      "A shape or a Python `if`/`int()` depends on the values of an array: use"
      " `jnp.where`/`lax.cond`, give sizes as Python numbers (they are not"
      " traced), or `size=` where a result has a data-dependent length."
    )
  elif isinstance(error, errors.TracerArrayConversionError):
    remedy = "It calls numpy on a traced array: use `jax.numpy` instead."
  elif "ShapeDtypeStruct" in str(error):
    remedy = (
      "It uses a ShapeDtypeStruct as an array: pass every abstract array (or"
      " module) as an argument of `count` instead of closing over it."
    )
  else:
    remedy = (
      "Check the argument shapes; pass arrays as `jax.ShapeDtypeStruct(shape,"
      " dtype)` and options as Python values."
    )
  first = (str(error).strip().splitlines() or [""])[0]
  return ValueError(
    f"Cannot count {name}({given}): it does not trace:"
    f" {type(error).__name__}: {first} {remedy}"
  )
