"""Names for everything that a config can ask for.

One table per kind (estimator, scale, transform, method, model, source, event,
...). Contract tests, sweeps, the method table and the command line iterate over
it; a typo is answered with the nearest registered name. What an entry accepts
is read when it is registered, and asked for by `accepts`.

`core.decorators` has the decorators that register. A package registers by an
entry point in the group `bnnjax.plugins`, which names a module of it.
"""

import contextlib
import importlib
import importlib.metadata
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from bnnjax import errors
from bnnjax.core import signature
from bnnjax.core.hyper import Defaults, Refused, shown
from bnnjax.core.hyper import defaults_of as defaults_of
from bnnjax.errors import nearest as nearest

T = TypeVar("T")
GROUPS = ("bnnjax.plugins", "bnnjax.methods")  # of entry points

_TABLES: dict[str, dict[str, Any]] = {}
_MISSING: list[str] = []  # why names are not known that should be
_ORIGINS: dict[tuple[str, str], str | None] = {}  # of (kind, name)
# By kind and identity, beside the object itself, which so keeps its identity.
_ACCEPTED: dict[tuple[str, int], tuple[Any, signature.Arguments]] = {}
_NOT_LOADED = list(GROUPS)  # until the first look
# Arguments that bnnjax gives by position, so that no config sets them.
_GIVEN = {"source": 1, "output": 2}


def missing(why: str) -> None:
  """Lets the error for an unknown name say what was to register more."""
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
  """Refuses a name that is not known, unless what is known is open-ended.

  Raises:
    ValueError: names the nearest one.
  """
  if getattr(known, "open_ended", False):
    return
  for name in given:
    if name not in known:
      raise unknown(what, name, known)


def check_hyper(
  kind: str, thing: Any, given: Mapping[str, Any]
) -> dict[str, Any]:
  """Hyper-parameters as `thing` takes them, see `check_values`."""
  return check_values(f"{kind} {thing.name!r}", thing.defaults, given)


def check_values(
  what: str, defaults: Defaults, given: Mapping[str, Any]
) -> dict[str, Any]:
  """Hyper-parameters as their rules (see `core.hyper`) read them.

  Raises:
    ValueError: a name that is not among `defaults`, or a value that its rule
      does not take.
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
    _accepted(kind, thing)
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


def load_plugins() -> None:
  """Imports what other packages declare as entry points in `GROUPS`.

  The first look into a table does so: by then all of bnnjax can be imported. A
  plugin that cannot be imported is warned of, and an unknown name mentions it.
  """
  _NOT_LOADED.clear()
  importlib.import_module("bnnjax.methods")  # our own
  for group in GROUPS:
    for entry in importlib.metadata.entry_points(group=group):
      try:
        entry.load()
      # Somebody's code: anything can go wrong in it.
      except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {error}".rstrip(" .:")
        what = f"The plugin {entry.name!r} ({entry.value}) cannot be imported: {said}"
        missing(what)
        warnings.warn(f"{what}. What it registers is not known.", stacklevel=3)


def registered_table(kind: str) -> dict[str, Any]:
  """All that is registered as a kind, by name.

  Raises:
    TypeError: no name of a kind.
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
  if not isinstance(name, str) or name not in table:
    raise unknown(kind, name, table)
  return table[name]


def accepts(kind: str, name: str) -> signature.Arguments:
  """Arguments that a config or a spec may set, by name, with their defaults.

  Hyper-parameters of an estimator, scale, transform ...; arguments of a model
  but `rngs`; options of a source but the split; arguments of a task. An
  annotation may be a rule of `core.hyper`.

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
  if defaults is not None:  # made by a decorator of ours
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
  """The kinds of which something is registered."""
  return [kind for kind in _TABLES if registered_table(kind)]


@contextlib.contextmanager
def restored() -> Iterator[None]:
  """What is registered inside is forgotten at the end, as a test wants it."""
  tables, origins = {k: dict(t) for k, t in _TABLES.items()}, dict(_ORIGINS)
  try:
    yield
  finally:
    for kind, table in _TABLES.items():
      kept = tables.get(kind, {})
      table.clear()
      table.update(kept)
    _ORIGINS.clear()
    _ORIGINS.update(origins)
