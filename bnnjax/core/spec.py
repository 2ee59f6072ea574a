"""Reading the parts of a spec string: `name(key=literal, ...)`."""

import ast
import re
import warnings
from collections.abc import Sequence
from typing import Any

from bnnjax.core import registry
from bnnjax.core.schedule import Annealed

LONGEST = 2000  # far beyond any: Python's parser has a depth that it survives
_PART = re.compile(r"^\s*([A-Za-z_]\w*)\s*(?:\((.*)\))?\s*$", re.S)


def part(
  kind: str, text: str, spec: str, also: Sequence[str] = ()
) -> tuple[Any, tuple[tuple[str, Any], ...]]:
  """Reads `name(k=v, ...)`.

  Args:
    kind: of the registry.
    text: the part.
    spec: the whole spec, for messages.
    also: names that stand alone, so that they are no part; an error offers
      them.

  Returns:
    The registered object and its hyper-parameters as pairs; a value is a
    literal, or a schedule such as `linear(start=0.0, end=1.0)`.

  Raises:
    ValueError: unknown name, or bad syntax.
    TypeError: no string.
  """
  if not isinstance(text, str):
    raise TypeError(f"A spec is a string, got {text!r}.")
  if len(spec) > LONGEST:
    raise ValueError(
      f"A spec has at most {LONGEST} characters, got {len(spec)}:"
      f" {spec[:60]!r}..."
    )
  match = _PART.match(text)
  if not match:
    raise ValueError(
      f"Cannot read {text.strip()!r} in spec {spec!r}. A spec is"
      " '[transform(k=v) > ] estimator(k=v) [ | scale(k=v)]'."
    )
  name, arguments = match.groups()
  if name in also and name not in registry.registered(kind):
    raise ValueError(
      f"{name!r} in spec {spec!r} is a method: its name stands alone, without"
      " arguments, transform or scale; with them, name its estimator."
    )
  if name not in registry.registered(kind):
    raise registry.unknown(kind, name, {*registry.registered(kind), *also})
  return registry.get(kind, name), _keywords(arguments, spec)


def _keywords(arguments: str | None, spec: str) -> tuple[tuple[str, Any], ...]:
  if not arguments or not arguments.strip():
    return ()
  try:
    with warnings.catch_warnings():
      warnings.simplefilter("ignore", SyntaxWarning)  # of Python programs
      call = ast.parse(f"f({arguments})", mode="eval").body
    return _pairs(call, lambda value: _value(value, spec))
  except _Named:
    raise
  except (
    SyntaxError, ValueError, TypeError, RecursionError, MemoryError,
  ) as error:  # fmt: skip
    raise ValueError(
      f"Cannot read the arguments {arguments[:60]!r} in spec {spec[:60]!r}: they"
      " are keyword=literal, e.g. 'ste(clip=1.25)', or keyword=schedule, e.g."
      " 'reste(o=linear(start=1.0, end=3.0))'."
    ) from error


class _Named(ValueError):
  """An error whose message says enough."""


def _pairs(call: ast.expr, read) -> tuple[tuple[str, Any], ...]:
  if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
    raise ValueError("more than one call")
  if call.args:
    raise ValueError("positional argument")
  if any(k.arg is None for k in call.keywords):
    raise ValueError("unpacking")
  names = [k.arg for k in call.keywords]
  if len(set(names)) < len(names):
    raise ValueError("a keyword twice")
  return tuple((k.arg, read(k.value)) for k in call.keywords)


def _value(node: ast.expr, spec: str) -> Any:
  if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
    value = ast.literal_eval(node)
    hash(value)  # a TypeError: binarizers are keys of tables
    return value
  pairs = _pairs(node, ast.literal_eval)
  try:
    return Annealed(registry.get("schedule", node.func.id), pairs)
  except ValueError as error:
    raise _Named(f"{error} (in spec {spec!r})") from error
