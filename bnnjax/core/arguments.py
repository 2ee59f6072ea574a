"""Checks of arguments against the annotations of a function."""

import collections.abc
import functools
import numbers
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from flax import nnx

from bnnjax.core import registry, signature
from bnnjax.core.hyper import Refused

LARGEST = 2**31 - 1  # elements along an axis, steps of a run
_WORDS = {
  int: "an int >= 1 (below 2^31)",
  float: "a number >= 0 (below 2^31)",
  bool: "True or False",
  str: "a string",
  type(None): "None",
  collections.abc.Mapping: "a mapping",
}


def check(
  what: str, known: signature.Arguments, given: Mapping[str, Any]
) -> None:
  """Checks the names and values of arguments.

  An `int` is at least 1, a `float` is not negative, `dtype` is a float type.

  Args:
    what: the owner of the arguments, for messages.
    known: the arguments it accepts, see `registry.accepts`.
    given: the arguments.

  Raises:
    ValueError: an unknown argument, a missing one, or a value that its
      annotation does not allow.
  """
  registry.check_names(f"argument of {what}", given, known)
  missing = [
    name
    for name, argument in known.items()
    if argument.default is signature.REQUIRED and name not in given
  ]
  if missing:
    raise ValueError(f"{what} needs `{'`, `'.join(missing)}`.")
  for key, value in given.items():
    if key not in known or value is known[key].default:
      continue
    if key in ("dtype", "param_dtype"):
      optional = key == "dtype"
      wanted = "the type of a float of 16 bits or more" + ", or None" * optional
      fits = optional if value is None else _is_dtype(value)
    else:
      hint = known.hints.get(key, Any)
      wanted, fits = text(hint), _fits(value, hint)
    if not fits:
      raise ValueError(f"`{key}` of {what} must be {wanted}, got {value!r}.")


def checked(init: Callable) -> Callable:
  """An `__init__` that first checks its arguments, see `check`."""
  read = signature.of(init)
  by_position = [name for name, a in read.items() if not a.by_name]
  known = read.only(name for name in read if name not in ("self", "rngs"))

  @functools.wraps(init)
  def made(self, *args, **kwargs):
    given = {**dict(zip(by_position[1:], args)), **kwargs}
    rngs = given.pop("rngs", None)
    if rngs is not None and not isinstance(rngs, nnx.Rngs):
      raise TypeError(f"`rngs` must be nnx.Rngs, got {rngs!r}.")
    check(type(self).__name__, known, given)
    init(self, *args, **kwargs)

  return made


def _fits(value: Any, hint: Any) -> bool:
  """Whether a value matches an annotation."""
  origin, inner = typing.get_origin(hint), typing.get_args(hint)
  if hint is Any:
    return True
  if hasattr(hint, "read"):
    return _is_read(value, hint)
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
    return hasattr(value, "items")  # a ConfigDict is not a Mapping
  if origin is collections.abc.Callable or _is_protocol(hint):
    return callable(value)
  return isinstance(value, hint)


def text(hint: Any) -> str:
  """An annotation in words, for messages."""
  if hint is Any:
    return "anything"
  if hasattr(hint, "read"):  # a rule of `core.hyper`
    return str(hint)
  origin, inner = typing.get_origin(hint), typing.get_args(hint)
  if origin in (typing.Union, types.UnionType):
    return " or ".join(dict.fromkeys(map(text, inner)))
  if origin is tuple and inner[-1] is Ellipsis:
    return f"a tuple, each {text(inner[0])}"
  if origin is tuple:
    return f"({', '.join(map(text, inner))})"
  if origin is collections.abc.Sequence:
    return f"a sequence, each {text(inner[0])}"
  if origin is collections.abc.Callable or _is_protocol(hint):
    return "a function"
  name = getattr(hint, "__name__", str(hint))
  return _WORDS.get(origin or hint, f"a {name}")


def _is_read(value: Any, rule: Any) -> bool:
  """Whether a rule of `core.hyper` allows a value."""
  try:
    rule.read(value)
  except Refused:
    return False
  return True


def _is_protocol(hint: Any) -> bool:
  """Whether an annotation is a protocol, as that of an initializer."""
  return getattr(hint, "_is_protocol", False)


def _is_whole(value: Any) -> bool:
  """Whether a value is an integer (also of numpy) and not a bool."""
  return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_dtype(value: Any) -> bool:
  """Whether a value names a float type that jax promotes."""
  # numpy makes a type of many other things: 3.0, pairs, any object.
  if not isinstance(value, (str, type, jnp.dtype)):
    return False
  try:
    dtype = jnp.dtype(value)
  except TypeError:
    return False
  # Smaller ones, such as float8, are not promoted implicitly.
  return jnp.issubdtype(dtype, jnp.floating) and dtype.itemsize >= 2
