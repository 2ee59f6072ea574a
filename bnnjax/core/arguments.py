"""Arguments against annotations: what a caller or a config can get wrong."""

import collections.abc
import functools
import inspect
import numbers
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from flax import nnx

from bnnjax.core import registry

LARGEST = 2**31 - 1  # elements along an axis, steps of a run
_WORDS = {
  int: "an int >= 1 (below 2^31)",
  float: "a number >= 0 (below 2^31)",
  bool: "True or False",
  str: "a string",
  type(None): "None",
  collections.abc.Mapping: "a mapping",
}


def check(what: str, function: Callable, given: Mapping[str, Any]) -> None:
  """Checks arguments against the signature and annotations of a function.

  Sizes (`int`) are at least 1, numbers (`float`) not negative, `dtype` is the
  type of a float.

  Args:
    what: whose arguments they are, for messages.
    function: an `__init__`; `self` and `rngs` are left out.
    given: the arguments.

  Raises:
    ValueError: an argument that it does not take, one that is missing, or a
      value that it cannot use.
  """
  parameters = inspect.signature(function).parameters
  known = {k: p for k, p in parameters.items() if k not in ("self", "rngs")}
  open_ended = any(p.kind is p.VAR_KEYWORD for p in known.values())
  for key in given:
    if key not in known and not open_ended:
      raise registry.unknown(f"argument of {what}", key, known)
  missing = [
    k
    for k, p in known.items()
    if p.default is p.empty and k not in given and p.kind is not p.VAR_KEYWORD
  ]
  if missing:
    raise ValueError(f"{what} needs `{'`, `'.join(missing)}`.")
  hints = _hints(function)
  for key, value in given.items():
    if key not in known or value is known[key].default:
      continue
    if key == "dtype":
      wanted, fits = (
        "the type of a float of 16 bits or more, or None",
        _is_dtype(value),
      )
    elif key == "param_dtype":
      wanted = "the type of a float of 16 bits or more"
      fits = value is not None and _is_dtype(value)
    elif key not in hints:  # a foreign model need not annotate
      continue
    else:
      wanted, fits = _text(hints[key]), _fits(value, hints[key])
    if not fits:
      raise ValueError(f"`{key}` of {what} must be {wanted}, got {value!r}.")


def checked(init: Callable) -> Callable:
  """An `__init__` that first checks its arguments, see `check`."""
  names = [
    p.name
    for p in inspect.signature(init).parameters.values()
    if p.kind is p.POSITIONAL_OR_KEYWORD
  ]

  @functools.wraps(init)
  def made(self, *args, **kwargs):
    given = {**dict(zip(names[1:], args)), **kwargs}
    rngs = given.pop("rngs", None)
    if rngs is not None and not isinstance(rngs, nnx.Rngs):
      raise TypeError(f"`rngs` must be nnx.Rngs, got {rngs!r}.")
    check(type(self).__name__, init, given)
    init(self, *args, **kwargs)

  return made


@functools.cache
def _hints(function: Callable) -> dict[str, Any]:
  return typing.get_type_hints(inspect.unwrap(function))


def _fits(value: Any, hint: Any) -> bool:
  """Whether a value is what an annotation says."""
  origin, inner = typing.get_origin(hint), typing.get_args(hint)
  if hint is Any:
    return True
  if origin in (typing.Union, types.UnionType):
    return any(_fits(value, h) for h in inner)
  if hint is int:
    return _is_whole(value) and 1 <= value <= LARGEST
  if hint is float:
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return real and 0 <= value <= LARGEST
  if origin is tuple and inner[-1] is Ellipsis:
    return isinstance(value, tuple) and all(_fits(v, inner[0]) for v in value)
  if origin is tuple:
    sized = isinstance(value, (tuple, list)) and len(value) == len(inner)
    return sized and all(map(_fits, value, inner))
  if origin is collections.abc.Sequence:
    listed = isinstance(value, (tuple, list))
    return listed and all(_fits(v, inner[0]) for v in value)
  if origin is collections.abc.Mapping:
    return hasattr(value, "items")  # a ConfigDict is no Mapping
  if origin is collections.abc.Callable or _is_protocol(hint):
    return callable(value)
  return isinstance(value, hint)


def _text(hint: Any) -> str:
  """An annotation in words."""
  origin, inner = typing.get_origin(hint), typing.get_args(hint)
  if origin in (typing.Union, types.UnionType):
    return " or ".join(dict.fromkeys(map(_text, inner)))
  if origin is tuple and inner[-1] is Ellipsis:
    return f"a tuple, each {_text(inner[0])}"
  if origin is tuple:
    return f"({', '.join(map(_text, inner))})"
  if origin is collections.abc.Sequence:
    return f"a sequence, each {_text(inner[0])}"
  if origin is collections.abc.Callable or _is_protocol(hint):
    return "a function"
  name = getattr(hint, "__name__", str(hint))
  return _WORDS.get(origin or hint, f"a {name}")


def _is_protocol(hint: Any) -> bool:
  """Whether an annotation is of functions, as an initializer's is."""
  return getattr(hint, "_is_protocol", False)


def _is_whole(value: Any) -> bool:
  """Whether a value is an integer, numpy's included, and no bool."""
  return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_dtype(value: Any) -> bool:
  """Whether a value is `None` or names a type of floats that jax promotes."""
  if value is None:
    return True
  # numpy makes a type of much else: of 3.0, of pairs, of any object.
  if not isinstance(value, (str, type, jnp.dtype)):
    return False
  try:
    dtype = jnp.dtype(value)
  except TypeError:
    return False
  # Smaller ones, such as float8, meet no other type without a cast.
  return jnp.issubdtype(dtype, jnp.floating) and dtype.itemsize >= 2
