"""Names for everything that a config can ask for.

One table per kind (estimator, scale, transform, method, model, source, event,
...). Contract tests, sweeps, the method table and the command line iterate over
it; a typo is answered with the nearest registered name.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from bnnjax import errors
from bnnjax.core.hyper import Refused, shown
from bnnjax.core.hyper import defaults_of as defaults_of
from bnnjax.errors import nearest as nearest

T = TypeVar("T")

_TABLES: dict[str, dict[str, Any]] = {}
_MISSING: list[str] = []  # why names are not known that should be
_ORIGINS: dict[tuple[str, str], str | None] = {}  # of (kind, name)


def missing(why: str) -> None:
  """Lets the error for an unknown name say what was to register more."""
  _MISSING.append(why)


def unknown(what: str, name: str, options: Iterable[str]) -> errors.UserError:
  """The error for a name that is not in `options`."""
  error = errors.unknown(what, name, options)
  return errors.UserError(" ".join([str(error), *(f"{w}." for w in _MISSING)]))


def check_hyper(
  kind: str, thing: Any, given: Mapping[str, Any]
) -> dict[str, Any]:
  """Hyper-parameters as `thing` takes them, checked against `thing.defaults`.

  Raises:
    ValueError: a name that it does not have, or a value that its rule (see
      `core.hyper`) does not take.
  """
  rules, read = getattr(thing.defaults, "rules", {}), {}
  for key, value in given.items():
    if key not in thing.defaults:
      what = f"hyper-parameter of {kind} {thing.name!r}"
      raise unknown(what, key, thing.defaults)
    try:
      read[key] = rules[key].read(value) if key in rules else value
    except Refused:
      options = getattr(rules[key], "options", ())
      close = nearest(value, [o for o in options if isinstance(o, str)])
      raise ValueError(
        f"`{key}` of {kind} {thing.name!r} must be {rules[key]}, got"
        f" {shown(value)}.{close}"
      ) from None
  return read


def register(kind: str, name: str, *, origin: Any = None) -> Callable[[T], T]:
  """Decorator that files an object under `kind` and `name`.

  What the same code makes again (a notebook's cell that runs twice, a module
  that is loaded anew) takes the place of the first.

  Args:
    kind: of the table.
    name: in the table.
    origin: function or class that the object was made of, or its module's
      name; by default the object itself.

  Raises:
    ValueError: the name is taken by an object of another origin.
  """

  def add(thing: T) -> T:
    table = _TABLES.setdefault(kind, {})
    mine = _origin(thing if origin is None else origin)
    if name in table and table[name] is not thing:
      theirs = _ORIGINS.get((kind, name))
      if mine is None or mine != theirs:
        raise ValueError(
          f"{kind} {name!r} is registered already, by {theirs or 'an object'};"
          f" {mine or 'another object'} needs another name."
        )
    table[name], _ORIGINS[kind, name] = thing, mine
    return thing

  return add


def calling_module(depth: int = 1) -> str:
  """The module whose code calls, as the `origin` of what it only names."""
  names = sys._getframe(depth + 1).f_globals
  module = names.get("__name__", "")
  if module != "__main__" and names.get("__spec__") is None:
    return names.get("__file__", module)
  return module


def _origin(thing: Any) -> str | None:
  """Where a function, class or module comes from; `None` for other objects."""
  if isinstance(thing, str):
    return thing
  module = getattr(thing, "__module__", None)
  name = getattr(thing, "__qualname__", None)
  if module is None or name is None:
    return None
  if module == "__main__":
    return module  # a notebook: each run of a cell is another file
  if getattr(sys.modules.get(module), "__spec__", None) is None:
    # A file that was run: all of them share the name of one module.
    code = getattr(thing, "__code__", None)
    code = code or getattr(getattr(thing, "__init__", None), "__code__", None)
    module = module if code is None else code.co_filename
  return f"{module}.{name}"


def registered_table(kind: str) -> dict[str, Any]:
  """All that is registered as a kind, by name.

  Raises:
    TypeError: no name of a kind.
  """
  if not isinstance(kind, str):
    raise TypeError(f"A kind is a string such as 'estimator', got {kind!r}.")
  return _TABLES.get(kind, {})


def get(kind: str, name: str) -> Any:
  """Returns what was registered.

  Raises:
    ValueError: unknown name; the message holds the nearest one.
  """
  table = registered_table(kind)
  if not isinstance(name, str) or name not in table:
    raise unknown(kind, name, table)
  return table[name]


def registered(kind: str, **attributes: Any) -> list[str]:
  """Sorted names of a kind, filtered by attribute values.

  Example:
    >>> registered("estimator", alphabet=(-1, 1))
    ['approx_sign', 'half_shift', 'ste', ...]
  """
  return sorted(
    name
    for name, thing in registered_table(kind).items()
    if all(getattr(thing, k, None) == v for k, v in attributes.items())
  )
