"""Names for everything that a config can ask for.

One table per kind (estimator, scale, transform, method, model, source, event,
...). Contract tests, sweeps, the method table and the command line iterate over
it; a typo is answered with the nearest registered name.
"""

import difflib
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")

_TABLES: dict[str, dict[str, Any]] = {}


def defaults_of(function: Callable[..., Any]) -> dict[str, Any]:
  """Hyper-parameters of a formula: its keyword-only arguments' defaults."""
  return {
    p.name: p.default
    for p in inspect.signature(function).parameters.values()
    if p.kind is p.KEYWORD_ONLY
  }


def nearest(name: str, options: Iterable[str]) -> str:
  """A sentence fragment that helps after a typo.

  Returns:
    `" Did you mean 'ste'?"`, or `""` when nothing is close.
  """
  close = difflib.get_close_matches(str(name), list(options), n=1, cutoff=0.5)
  return f" Did you mean {close[0]!r}?" if close else ""


def unknown(what: str, name: str, options: Iterable[str]) -> ValueError:
  """The error for a name that is not in `options`."""
  options = sorted(options)
  return ValueError(
    f"Unknown {what} {name!r}.{nearest(name, options)}"
    f" Known: {', '.join(options) or '(none)'}."
  )


def check_hyper(kind: str, thing: Any, given: Iterable[str]) -> None:
  """Checks hyper-parameters against `thing.defaults`.

  Raises:
    ValueError: a name that it does not have.
  """
  for key in given:
    if key not in thing.defaults:
      what = f"hyper-parameter of {kind} {thing.name!r}"
      raise unknown(what, key, thing.defaults)


def register(kind: str, name: str) -> Callable[[T], T]:
  """Decorator that files an object under `kind` and `name`.

  Raises:
    ValueError: the name is taken by another object.
  """

  def add(thing: T) -> T:
    table = _TABLES.setdefault(kind, {})
    if name in table and table[name] is not thing:
      raise ValueError(f"{kind} {name!r} is registered already.")
    table[name] = thing
    return thing

  return add


def get(kind: str, name: str) -> Any:
  """Returns what was registered.

  Raises:
    ValueError: unknown name; the message holds the nearest one.
  """
  table = _TABLES.get(kind, {})
  if name not in table:
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
    for name, thing in _TABLES.get(kind, {}).items()
    if all(getattr(thing, k, None) == v for k, v in attributes.items())
  )
