"""What a counted function returns: work for anything else is dead code."""

import enum
import numbers
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from bnnjax.cost.variables import is_module

_NO_ARRAYS = (
  str
  | bytes
  | bool
  | type
  | enum.Enum
  | numbers.Number
  | np.generic
  | np.ndarray
  | np.dtype
  | jax.ShapeDtypeStruct
)


def noted(fn: Callable, *first: Any) -> Callable:
  """Binds the first arguments of `fn`, and returns `(result, arguments)`."""

  def call(*args, **kwargs):
    return fn(*first, *args, **kwargs), (first, args, kwargs)

  return call


def arrays(
  out: Any, given: Any, before: Sequence[Any], unseen: list[str]
) -> list[Any]:
  """The arrays of a result, and what the function changed in its arguments.

  A train step often returns a loss and leaves the rest in the modules it was
  given. Intermediates that a module records are not results.

  Args:
    out: what the function returned.
    given: its arguments, after the call.
    before: the arrays that the arguments were made of.
    unseen: receives the names of types that may hold arrays, and `""` if no
      array is found.
  """
  found = list(_arrays(out, unseen))
  old = {id(x) for x in before}
  found += [x for x in _arrays(given, []) if id(x) not in old]
  if not found:
    unseen.append("")
  return found


def _arrays(tree: Any, unseen: list[str]) -> Iterator[Any]:
  for x in jax.tree.leaves(tree, is_leaf=is_module):
    if isinstance(x, jax.Array):
      yield x
    elif is_module(x):
      nnx = sys.modules["flax.nnx"]
      state = nnx.state(x, nnx.Not(nnx.Intermediate))
      yield from (v for v in jax.tree.leaves(state) if isinstance(v, jax.Array))
    elif not isinstance(x, _NO_ARRAYS):
      unseen.append(type(x).__name__)


def warning(kind: str) -> str:
  """What to say about a result whose arrays cannot be seen."""
  if not kind:
    return (
      "The function returns no array and changes none of its modules: but for"
      " prints and callbacks it is dead code. Return what it computes."
    )
  return (
    f"A result of type {kind} is no pytree: what is computed for it alone"
    " counts as dead code. Return its arrays."
  )
