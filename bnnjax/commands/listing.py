"""What is registered, for a person to read: `bnnjax list [KIND|NAME]`."""

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from bnnjax import data, models, tasks  # noqa: F401 (register theirs)
from bnnjax.core import arguments, registry, signature
from bnnjax.core.hyper import shown
from bnnjax.core.method import Method, Preset
from bnnjax.errors import UserError, nearest
from bnnjax.report import methods

WIDTH = 80
# Fields that say nothing of an entry, or that its arguments show.
_HIDDEN = ("name", "defaults", "__doc__")


def of(name: str | None = None, about: Mapping[str, str] | None = None) -> str:
  """Shows what is registered, by kind; all of a kind; or what a name means.

  Args:
    name: a kind, or a name of any kind: every kind that has it is shown.
      `None` shows everything.
    about: what each kind is, in the order in which kinds are shown; kinds that
      it lacks follow.

  Raises:
    UserError: it is neither; says the nearest name.
  """
  about = about or {}
  kinds = [k for k in (*about, *registry.kinds()) if registry.registered(k)]
  kinds = list(dict.fromkeys(kinds))
  if name is None:
    return "\n".join(_overview(kind, about.get(kind)) for kind in kinds)
  found = [_kind(name)] if name in kinds else []
  found += [_entry(k, name) for k in kinds if name in registry.registered(k)]
  if not found:
    names = [n for kind in kinds for n in registry.registered(kind)]
    raise UserError(
      f"No kind and no name is {name!r}.{nearest(name, [*kinds, *names])}"
      f" `bnnjax list` shows all; the kinds are {', '.join(kinds)}."
    )
  return "\n\n".join(found)


def _overview(kind: str, about: str | None) -> str:
  names = ", ".join(registry.registered(kind))
  said = f"  ({about})\n" if about else ""
  return f"{kind}:\n{said}{_wrapped(names, '  ')}"


def _kind(kind: str) -> str:
  """One line for each entry."""
  lines = [f"{kind}:"]
  for name in registry.registered(kind):
    thing = registry.get(kind, name)
    text = getattr(thing, "paper", None) or _docstring(thing)
    lines.append(f"  {name:28}{text.partition(chr(10))[0]}".rstrip())
  return "\n".join(lines)


def _entry(kind: str, name: str) -> str:
  """All that is known of an entry: formula, facts and arguments."""
  thing = registry.get(kind, name)
  lines = [f"{kind} {name}", textwrap.indent(_docstring(thing), "  ")]
  rows = list(_facts(thing))
  if isinstance(thing, Method):
    names = methods.estimators_of(name)
    rows += [(f"formula of {n}", methods.formula(n)) for n in names]
  if kind == "estimator":
    rows += _papers(name)
  lines += [_row(key, text) for key, text in rows]
  taken = registry.accepts(kind, name)
  if taken:
    lines.append("  arguments:")
  for key, argument in taken.items():
    given = argument.default is not signature.REQUIRED
    key = f"{key}={shown(argument.default)}" if given else key
    hint = taken.hints.get(key.partition("=")[0])
    lines.append(_row(key, _meaning(kind, hint), "    "))
  return "\n".join(line for line in lines if line)


def _facts(thing: Any) -> Iterator[tuple[str, str]]:
  """The fields that an entry sets."""
  if isinstance(thing, type) or not dataclasses.is_dataclass(thing):
    return
  for field in dataclasses.fields(thing):
    value = getattr(thing, field.name)
    if isinstance(value, Preset):
      value = " ".join(
        [value.spec or "", *(f"{k}={v!r}" for k, v in value.options)]
      )
    plain = isinstance(value, (str, int, float, tuple, dict))
    if field.name in _HIDDEN or not plain or value in ("", (), {}):
      continue
    if not field.name.startswith("_") and value != field.default:
      yield field.name, value if isinstance(value, str) else repr(value)


def _papers(estimator: str) -> list[tuple[str, str]]:
  """The methods that use an estimator."""
  return [
    (f"method {name}", registry.get("method", name).paper)
    for name in registry.registered("method")
    if estimator in methods.estimators_of(name)
  ]


def _meaning(kind: str, hint: Any) -> str:
  """What a value may be; in words, if its annotation is checked."""
  if hint is None or hint is Any:
    return ""
  if kind == "model" or hasattr(hint, "read"):
    return arguments.text(hint)
  text = inspect.formatannotation(hint)
  return re.sub(r"\b(collections\.abc|typing)\.", "", text)


def _docstring(thing: Any) -> str:
  own = callable(thing) and not dataclasses.is_dataclass(type(thing))
  text = thing.__doc__ if own else getattr(thing, "__dict__", {}).get("__doc__")
  return inspect.cleandoc(text or "")


def _row(key: str, text: str, indent: str = "  ") -> str:
  row = f"{key:20}  {text}".rstrip()
  return _wrapped(row, indent, f"{indent}{' ' * 22}")


def _wrapped(text: str, indent: str, later: str | None = None) -> str:
  return textwrap.fill(
    text,
    WIDTH,
    initial_indent=indent,
    subsequent_indent=indent if later is None else later,
    break_long_words=False,
    break_on_hyphens=False,
  )
