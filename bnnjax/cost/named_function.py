"""Counts a function that a command line names: `package.module:function`."""

import importlib
import sys
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from bnnjax import errors
from bnnjax.cost.counting import count as count_function
from bnnjax.cost.report import Report


def count(name: str, shapes: Sequence[str], params: str = "") -> Report:
  """Counts a function or module object that can be imported.

  Args:
    name: `package.module:function`; the current folder is searched too.
    shapes: of the arguments, `"1,224,224,3"` or `"1,128:int32"`.
    params: comma-separated positions of the arguments that are parameters.

  Raises:
    ValueError: no such module, function, or shape; what to write instead.
  """
  module, _, attribute = name.partition(":")
  if not attribute or not module:
    raise ValueError(f"Write {name!r} as package.module:function.")
  if "" not in sys.path:
    sys.path.insert(0, "")
  try:
    found = importlib.import_module(module)
  except ModuleNotFoundError as error:
    raise ValueError(f"Cannot import {module!r}: {error}.") from error
  if not hasattr(found, attribute):
    near = errors.nearest(attribute, dir(found))
    raise ValueError(f"Module {module!r} has no {attribute!r}.{near}")
  arguments = [shape(text) for text in shapes]
  if not arguments:
    raise ValueError(f"Give the shapes of {name}'s arguments with --shape.")
  try:
    numbers = tuple(int(n) for n in params.split(",")) if params else ()
  except ValueError as error:
    raise ValueError(f"--params is written 0,2, got {params!r}.") from error
  return count_function(getattr(found, attribute), *arguments, params=numbers)


def shape(text: str) -> jax.ShapeDtypeStruct:
  """`"1,224,224,3:bfloat16"` as a shape; float32 by default, `""` is a scalar.

  Raises:
    ValueError: not of that form.
  """
  sizes, _, dtype = text.partition(":")
  try:
    axes = tuple(int(n) for n in sizes.split(",")) if sizes else ()
    if min(axes, default=1) < 1:
      raise ValueError("sizes are 1 or more")
    return jax.ShapeDtypeStruct(axes, jnp.dtype(dtype or "float32"))
  except (TypeError, ValueError) as error:
    raise ValueError(
      f"A shape is written 1,224,224,3 or 1,128:int32, got {text!r}."
    ) from error
