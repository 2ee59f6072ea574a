"""Names for everything that a config can ask for.

There is one table per kind (estimator, scale, transform, method, model, source,
event, ...). Contract tests, sweeps, the method table and the command line
iterate over it. The error for an unknown name suggests the nearest one. The
arguments of an entry are read when it is registered; `accepts` returns them.

The decorators that register are in `core.decorators`. Another package registers
with an entry point in the group `bnnjax.plugins` that names one of its modules.
"""

import contextlib
import importlib
import importlib.metadata
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from bnnjax import deprecated, errors
from bnnjax.core import signature
from bnnjax.core.hyper import Defaults, Refused, shown
from bnnjax.core.hyper import defaults_of as defaults_of
from bnnjax.errors import nearest as nearest

T = TypeVar("T")
GROUPS = ("bnnjax.plugins", "bnnjax.methods")  # of entry points

_TABLES: dict[str, dict[str, Any]] = {}
_MISSING: list[str] = []  # why some names are missing
_ORIGINS: dict[tuple[str, str], str | None] = {}  # of (kind, name)
# By kind and id; holding the object keeps the id its own.
_ACCEPTED: dict[tuple[str, int], tuple[Any, signature.Arguments]] = {}
_NOT_LOADED = list(GROUPS)  # until a table is first read
# Number of arguments that bnnjax passes by position: no config sets them.
_GIVEN = {"source": 1, "output": 2, "norm": 1}


def missing(why: str) -> None:
  """Adds to the error for an unknown name why it may be missing."""
  _MISSING.append(why)


def unknown(what: str, name: str, options: Iterable[str]) -> errors.UserError:
  """The error for a name that is not in `options`."""
  error = errors.unknown(what, name, options)
  return errors.UserError(" ".join([str(error), *(f"{w}." for w in _MISSING)]))


def pick(what: str, name: Any, table: Mapping[str, T]) -> T:
  """`table[str(name)]`.

  Raises:
    ValueError: unknown name; the message holds the nearest one.
  """
  if str(name) not in table:
    raise unknown(what, name, table)
  return table[str(name)]


def check_names(
  what: str, given: Iterable[str], known: Mapping[str, Any] | Iterable[str]
) -> None:
  """Raises if a name is not known, unless `known` is open-ended.

  Raises:
    ValueError: an unknown name; the message holds the nearest one.
  """
  if getattr(known, "open_ended", False):
    return
  for name in given:
    if name not in known:
      raise unknown(what, name, known)


def check_hyper(
  kind: str, thing: Any, given: Mapping[str, Any]
) -> dict[str, Any]:
  """Hyper-parameters of `thing` as its rules read them, see `check_values`."""
  return check_values(f"{kind} {thing.name!r}", thing.defaults, given)


def check_values(
  what: str, defaults: Defaults, given: Mapping[str, Any]
) -> dict[str, Any]:
  """Hyper-parameters as their rules (see `core.hyper`) read them.

  Raises:
    ValueError: a name that is not in `defaults`, or a value that its rule does
      not allow.
  """
  rules, read = getattr(defaults, "rules", {}), {}
  check_names(f"hyper-parameter of {what}", given, defaults)
  for key, value in given.items():
    try:
      read[key] = rules[key].read(value) if key in rules else value
    except Refused:
      options = getattr(rules[key], "options", ())
      close = nearest(value, [o for o in options if isinstance(o, str)])
      raise ValueError(
        f"`{key}` of {what} must be {rules[key]}, got {shown(value)}.{close}"
      ) from None
  return read


def register(kind: str, name: str, *, origin: Any = None) -> Callable[[T], T]:
  """Decorator that registers an object under `kind` and `name`.

  An object replaces an earlier one that the same code made: a notebook cell may
  run twice, and a module may be reloaded.

  Args:
    kind: name of the table.
    name: name in the table.
    origin: function or class that the object was made from, or the name of a
      module; by default the object itself.

  Raises:
    ValueError: an object of another origin has the name.
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
    _accepted(kind, thing)
    table[name], _ORIGINS[kind, name] = thing, mine
    return thing

  return add


def origin(kind: str, name: str) -> str | None:
  """The place that defines what has a name, e.g. `bnnjax.methods.ste.ste`."""
  return _ORIGINS.get((kind, name))


def calling_module(depth: int = 1) -> str:
  """The module of the caller, as the `origin` of an object without code."""
  names = sys._getframe(depth + 1).f_globals
  module = names.get("__name__", "")
  if module != "__main__" and names.get("__spec__") is None:
    return names.get("__file__", module)
  return module


def _origin(thing: Any) -> str | None:
  """Name of the place that defines a function or class; else `None`."""
  if isinstance(thing, str):
    return thing
  module = getattr(thing, "__module__", None)
  name = getattr(thing, "__qualname__", None)
  if module is None or name is None:
    return None
  if module == "__main__":
    return module  # a notebook: a cell is another file each time it runs
  if getattr(sys.modules.get(module), "__spec__", None) is None:
    # A file that `runpy` ran: all such files have the same module name.
    code = getattr(thing, "__code__", None)
    code = code or getattr(getattr(thing, "__init__", None), "__code__", None)
    module = module if code is None else code.co_filename
  return f"{module}.{name}"


def load_plugins() -> None:
  """Imports our methods and the entry points of other packages in `GROUPS`.

  Called when a table is first read: by then all of bnnjax can be imported. A
  plugin that cannot be imported causes a warning, and the error for an unknown
  name mentions it.
  """
  _NOT_LOADED.clear()
  importlib.import_module("bnnjax.methods")
  for group in GROUPS:
    for entry in importlib.metadata.entry_points(group=group):
      try:
        entry.load()
      # Anything can go wrong in other people's code.
      except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {error}".rstrip(" .:")
        what = f"The plugin {entry.name!r} ({entry.value}) cannot be imported: {said}"
        missing(what)
        warnings.warn(f"{what}. What it registers is not known.", stacklevel=3)


def registered_table(kind: str) -> dict[str, Any]:
  """Everything registered as a kind, by name.

  Raises:
    TypeError: `kind` is not a string.
  """
  if not isinstance(kind, str):
    raise TypeError(f"A kind is a string such as 'estimator', got {kind!r}.")
  if _NOT_LOADED:
    load_plugins()
  return _TABLES.get(kind, {})


def get(kind: str, name: str) -> Any:
  """Returns what was registered.

  Raises:
    ValueError: unknown name; the message holds the nearest one.
  """
  table = registered_table(kind)
  name = deprecated.current_name(kind, name)
  if not isinstance(name, str) or name not in table:
    raise unknown(kind, name, table)
  return table[name]


class Pickled:
  """A registered object of many functions, which is pickled by its name.

  A class of such objects says its kind: `class Scale(Pickled, kind="scale")`. One
  that is not registered is pickled by its fields.
  """

  _kind: str

  def __init_subclass__(cls, kind: str = "", **options: Any):
    super().__init_subclass__(**options)
    if kind:
      cls._kind = kind

  def __reduce_ex__(self, protocol: int) -> Any:
    if registered_table(self._kind).get(self.name) is self:
      return get, (self._kind, self.name)
    return super().__reduce_ex__(protocol)


def accepts(kind: str, name: str) -> signature.Arguments:
  """Arguments that a config or a spec may set, with their defaults.

  These are the hyper-parameters of an estimator, scale or transform, the
  arguments of a model except `rngs`, the options of a source except the split,
  the arguments of a task, and so on. An annotation may be a rule of
  `core.hyper`.

  Raises:
    ValueError: unknown name.

  Example:
    >>> "vocab" in accepts("model", "bert")
    True
    >>> accepts("estimator", "ede").defaults["t"]
    10.0
  """
  return _accepted(kind, get(kind, name))


def _accepted(kind: str, thing: Any) -> signature.Arguments:
  key = kind, id(thing)
  if key not in _ACCEPTED:
    _ACCEPTED[key] = thing, _read(kind, thing)
  return _ACCEPTED[key][1]


def _read(kind: str, thing: Any) -> signature.Arguments:
  defaults = getattr(thing, "defaults", None)
  if defaults is not None:  # one of our decorators made it
    rules = getattr(defaults, "rules", {})
    return signature.Arguments(
      (name, signature.Argument(value, rules.get(name, Any)))
      for name, value in defaults.items()
    )
  if not callable(thing):
    return signature.Arguments()
  read = signature.of(thing)
  by_position = [name for name, a in read.items() if not a.by_name]
  given = by_position[: _GIVEN.get(kind, 0)]
  if not isinstance(thing, type) and kind not in _GIVEN:  # a formula
    given = by_position
  return read.only(name for name in read if name not in (*given, "rngs"))


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


def kinds() -> list[str]:
  """The kinds that have entries."""
  return [kind for kind in _TABLES if registered_table(kind)]


@contextlib.contextmanager
def restored() -> Iterator[None]:
  """Context manager for tests: forgets at its end what it registered."""
  tables, origins = {k: dict(t) for k, t in _TABLES.items()}, dict(_ORIGINS)
  missing = list(_MISSING)
  try:
    yield
  finally:
    for kind, table in _TABLES.items():
      kept = tables.get(kind, {})
      table.clear()
      table.update(kept)
    _ORIGINS.clear()
    _ORIGINS.update(origins)
    _MISSING[:] = missing
