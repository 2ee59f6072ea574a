"""Decorators that register, with one syntax for all kinds.

They are `bx.estimator`, `bx.scale`, `bx.transform`, `bx.source`, `bx.task`,
`bx.model`, and `bx.method`, which takes fields instead of a function. The name
is the first argument, as in `@bx.source("mine")`. By default it is the name of
the function, or that of the class in snake case: `@bx.model` registers `ToyNet`
as "toy_net". A name has letters, digits and `_`, as specs require.
"""

import re
from collections.abc import Callable
from typing import Any, TypeVar

from bnnjax.core import registry, signature

T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z_]\w*")  # as `core.spec` reads it
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])")


def decorate(make: Callable[[T, str], Any], named: T | str | None) -> Any:
  """What a decorator returns in each of its three forms.

  Args:
    make: makes and registers an object from the decorated thing and a name.
    named: the first argument of the decorator: `None` in `@source()`, a name in
      `@source("mine")`, the decorated thing in `@source`.

  Raises:
    ValueError: a name that a spec cannot hold, or a lambda without a name.
  """
  if named is None:
    return lambda thing: make(thing, _name_of(thing))
  if isinstance(named, str):
    if not _NAME.fullmatch(named):
      raise ValueError(
        "A name is a word of letters, digits and `_`, not a digit first, such as"
        f" 'mine_2': got {named!r}."
      )
    return lambda thing: make(thing, named)
  return make(named, _name_of(named))


def _name_of(thing: Any) -> str:
  name = getattr(thing, "__name__", None)
  if name is None:
    raise TypeError(f"A function or a class is registered, got {thing!r}.")
  if not _NAME.fullmatch(name):  # `<lambda>`, or a first letter outside ASCII
    what = "A lambda has no name" if name == "<lambda>" else f"Got {name!r}"
    raise ValueError(
      f"{what}, and a config needs one, a word of letters, digits and `_`: give a"
      " name first, e.g. `@bx.source('mine')`."
    )
  return _WORD.sub("_", name).lower() if isinstance(thing, type) else name


def source(named: Callable | str | None = None, /) -> Any:
  """Registers a dataset: a function `(split, *, option=default) -> Source`.

  Example:
    >>> @bx.source
    ... def mine(split, *, size=3): ...
    >>> data.load("mine", "test", size=5)
  """

  def make(function, name):
    first, *others = signature.of(function).values() or [signature.Argument()]
    if first.by_name or any(a.default is signature.REQUIRED for a in others):
      raise TypeError(
        f"A source takes the split, and options that have defaults; {name!r}"
        f" takes {', '.join(signature.of(function)) or 'nothing'}."
      )
    return registry.register("source", name)(function)

  return decorate(make, named)


def task(named: type | str | None = None, /) -> Any:
  """Registers a task, a class; its `__init__` takes the fields of `config.task`."""

  def make(made, name):
    if not isinstance(made, type):
      raise TypeError(f"A task is a class, got {made!r}.")
    return registry.register("task", name)(made)

  return decorate(make, named)


def model(named: type | str | None = None, /) -> Any:
  """Registers a model, an `nnx.Module` whose `__init__` takes `rngs`.

  Its other arguments are fields of `config.model`, checked against their
  annotations, see `core.arguments`. Those that the dataset decides
  (`num_classes`, `image_shape`, `vocab`, `max_len`) are passed to the models
  that take them.
  """

  def make(made, name):
    read = signature.of(made)
    takes_rngs = "rngs" in read or read.open_ended
    if not isinstance(made, type) or not takes_rngs:
      raise TypeError(
        f"A model is a class whose `__init__` takes `rngs`, got {made!r}."
      )
    return registry.register("model", name)(made)

  return decorate(make, named)
