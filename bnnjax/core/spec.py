"""Reading the parts of a spec string: `name(key=literal, ...)`."""

import ast
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from bnnjax.core import registry, signature
from bnnjax.core.schedule import Annealed

LONGEST = 2000  # far beyond any: Python's parser has a depth that it survives
_PART = re.compile(r"^\s*([A-Za-z_]\w*)\s*(?:\((.*)\))?\s*$", re.S)
_ERRORS = (SyntaxError, ValueError, TypeError, RecursionError, MemoryError)


class Unreadable(ValueError):
  """The text has not the form of a spec."""


class _Named(ValueError):
  """An error whose message says enough."""


def part(
  kind: str,
  text: str,
  spec: str,
  also: Sequence[str] = (),
  as_call: bool = False,
) -> tuple[Any, tuple[tuple[str, Any], ...]]:
  """Reads `name(k=v, ...)`.

  Args:
    kind: of the registry.
    text: the part.
    spec: the whole spec, for messages.
    also: names that stand alone, so that they are no part; an error offers
      them.
    as_call: whether it is read as a call in Python: `name(2, k=v)`, lists are
      values, and what has no default is needed.

  Returns:
    The registered object and its hyper-parameters as pairs; a value is a
    literal, or a schedule such as `linear(start=0.0, end=1.0)`.

  Raises:
    Unreadable: bad syntax.
    ValueError: unknown name, or arguments that do not fit (`as_call`).
    TypeError: no string.
  """
  name, arguments = _split(text, spec)
  known = registry.registered(kind)
  if name in also and name not in known:
    raise ValueError(
      f"{name!r} in spec {spec!r} is a method: its name stands alone, without"
      " arguments, transform or scale; with them, name its estimator."
    )
  if name not in known:
    raise registry.unknown(kind, name, {*known, *also})
  values, pairs = _arguments(arguments, spec, as_call)
  if as_call:
    pairs = tuple(bind(kind, name, values, dict(pairs)).items())
  return registry.get(kind, name), pairs


def parts(text: str) -> list[str]:
  """`"a(1, 2), b"` as `["a(1, 2)", "b"]`; brackets around it do not count.

  Raises:
    Unreadable: bad syntax.
  """
  text = text.strip()
  if not text:
    return []
  try:
    body = _parsed(text)
  except _ERRORS as error:
    raise Unreadable(f"Cannot read {text!r}.") from error
  nodes = body.elts if isinstance(body, ast.Tuple | ast.List) else [body]
  return [ast.get_source_segment(text, node) for node in nodes]


def name_of(text: str) -> str:
  """The name in `name(k=v)`."""
  return _split(text, text)[0]


def bind(
  kind: str, name: str, values: Sequence[Any], options: Mapping[str, Any]
) -> dict[str, Any]:
  """The arguments of a call by name.

  Raises:
    ValueError: an unknown name (with the nearest one), or too many arguments,
      too few, or one twice.
  """
  known = registry.accepts(kind, name)
  registry.check_names(f"option of {kind} {name!r}", options, known)
  by_position = dict(zip(known, values))
  given = {**by_position, **options}
  needed = {k for k, a in known.items() if a.default is signature.REQUIRED}
  twice = by_position.keys() & options.keys()
  if len(values) > len(known) or twice or needed - given.keys():
    raise ValueError(
      f"The {kind} {name!r} is written '{name}({', '.join(known)})': got"
      f" arguments {tuple(values)} {dict(options)}."
    )
  return given


def _split(text: str, spec: str) -> tuple[str, str]:
  """The name, and what stands in the brackets."""
  if not isinstance(text, str):
    raise TypeError(f"A spec is a string, got {text!r}.")
  if len(spec) > LONGEST:
    raise ValueError(
      f"A spec has at most {LONGEST} characters, got {len(spec)}:"
      f" {spec[:60]!r}..."
    )
  match = _PART.match(text)
  if not match:
    raise Unreadable(
      f"Cannot read {text.strip()!r} in spec {spec!r}. A spec is"
      " '[transform(k=v) > ] estimator(k=v) [ | scale(k=v)]'."
    )
  return match.group(1), (match.group(2) or "").strip()


def _parsed(text: str) -> ast.expr:
  with warnings.catch_warnings():
    warnings.simplefilter("ignore", SyntaxWarning)  # of Python programs
    return ast.parse(text, mode="eval").body


def _arguments(text: str, spec: str, as_call: bool):
  """Values by position, and pairs of names and values."""
  if not text:
    return (), ()
  try:
    call = _call(_parsed(f"f({text})"), as_call)
    read = ast.literal_eval if as_call else lambda node: _value(node, spec)
    return tuple(map(read, call.args)), _pairs(call, read)
  except _Named:
    raise
  except _ERRORS as error:
    raise Unreadable(
      f"Cannot read the arguments {text[:60]!r} in spec {spec[:60]!r}: they"
      " are keyword=literal, e.g. 'ste(clip=1.25)', or keyword=schedule, e.g."
      " 'reste(o=linear(start=1.0, end=3.0))'."
    ) from error


def _call(node: ast.expr, by_position: bool = False) -> ast.Call:
  if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
    raise ValueError("more than one call")
  if node.args and not by_position:
    raise ValueError("positional argument")
  names = [k.arg for k in node.keywords]
  if None in names:
    raise ValueError("unpacking")
  if len(set(names)) < len(names):
    raise ValueError("a keyword twice")
  return node


def _pairs(call: ast.Call, read) -> tuple[tuple[str, Any], ...]:
  return tuple((k.arg, read(k.value)) for k in call.keywords)


def _value(node: ast.expr, spec: str) -> Any:
  if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
    value = ast.literal_eval(node)
    hash(value)  # a TypeError: binarizers are keys of tables
    return value
  pairs = _pairs(_call(node), ast.literal_eval)
  try:
    return Annealed(registry.get("schedule", node.func.id), pairs)
  except ValueError as error:
    raise _Named(f"{error} (in spec {spec!r})") from error
