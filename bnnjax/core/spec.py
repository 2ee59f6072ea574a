"""Specs: short strings that say how to binarize.

  [transform(k=v) > ] estimator(k=v) [ | scale(k=v)] [; option=value, ...]

or a method's name. Options are those in which a preset may differ from a plain
spec: "reste|tensor_l1; gradient='full'" (see `core.binarizer.Binarizer`).

`parse` reads one. Each part is `name(key=literal, ...)`, which other registries
share (augmentations, output scales, gradient quantizers): `part` reads that. A
value may be a schedule: "ede(t=geometric(start=0.1, end=10.0))".
"""

import ast
import dataclasses
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from bnnjax import deprecated
from bnnjax.core import (  # noqa: F401 (two register names)
  group_scale,
  learned_scale,
  registry,
  signature,
)
from bnnjax.core.binarizer import ROLES, Binarizer
from bnnjax.core.estimator import FLOAT
from bnnjax.core.schedule import Annealed

OPTIONS = ("gradient", "measure", "start", "latent")
PRESETS = ("weight", "act", "embedding")  # fields of `core.method.Method`
LONGEST = 2000  # no spec is as long; Python's parser overflows on deep nesting
_PART = re.compile(r"^\s*([A-Za-z_]\w*)\s*(?:\((.*)\))?\s*$", re.S)
_ERRORS = (SyntaxError, ValueError, TypeError, RecursionError, MemoryError)


class Unreadable(ValueError):
  """The text does not have the form of a spec."""


class _Named(ValueError):
  """An error about a schedule, which is raised as it is."""


def parse(
  spec: "str | Binarizer | None",
  role: str,
  *,
  preset: str | None = None,
  **options: Any,
):
  """Reads a spec string.

  Args:
    spec: `"ste"`, `"ste(clip=1.25)|channel_l1"`, `"center > ste | tensor_l1"`,
      `"ste|tensor_l1; gradient='full'"`, a
      method's name (its preset for this role), or a `Binarizer`. `None` and
      `"float"` mean no binarization, `"standardize > float"` a transform alone.
    role: `"weight"` or `"act"`.
    preset: the preset that a method's name means: by default that of the role;
      `"embedding"` for a word embedding.
    **options: fields of the `Binarizer` (`gradient`, `measure`, `start`, `tag`)
      that override those of the preset.

  Returns:
    `Binarizer` or `None`.

  Raises:
    ValueError: bad syntax, or an unknown name; the message holds the nearest.
    TypeError: `spec` is neither a string nor a `Binarizer`.

  Example:
    >>> parse("ste|channel_l1", "weight").scale.name
    'channel_l1'
  """
  for name, given in (("role", role), ("preset", preset)):
    if given is not None and not isinstance(given, str):
      raise TypeError(f"`{name}` must be a string, got {given!r}.")
  preset_of = role if preset is None else preset
  registry.check_names("role", [role], ROLES)
  registry.check_names("preset", [preset_of], PRESETS)
  if spec is None or (isinstance(spec, str) and spec == "float"):
    return None
  fields = [f.name for f in dataclasses.fields(Binarizer)]
  registry.check_names("option of a binarizer", options, fields)
  if isinstance(spec, Binarizer):
    return dataclasses.replace(spec, role=role, **options)
  if not isinstance(spec, str):
    raise TypeError(
      f"A {role} binarizer is a spec string, a Binarizer or None, got {spec!r}."
    )
  name = deprecated.current_name("method", spec.strip())
  if name in registry.registered("method"):
    method = registry.get("method", name)
    chosen = getattr(method, preset_of)
    if chosen.spec is None:  # no preset of its own, e.g. for embeddings
      chosen = getattr(method, role)
    spec, options = chosen.spec, {**dict(chosen.options), **options}
    if role == "weight" and preset is None:
      options = {"method": method.name, **options}
    if spec is None:
      return None
  own, semicolon, written = spec.partition(";")
  if semicolon:
    options = {**_options(written, spec), **options}
  head, bar, scale = own.partition("|")
  transform, arrow, estimator = head.rpartition(">")
  parts: dict[str, Any] = {}
  if estimator.strip() == "float":
    parts["estimator"], estimator = FLOAT, ""
  texts = {"transform": transform, "estimator": estimator, "scale": scale}
  for kind, text in texts.items():
    if text.strip():
      also = registry.registered("method") if kind == "estimator" else ()
      parts[kind], parts[f"{kind}_hp"] = part(kind, text, spec, also)
  for sign, kind in ((arrow, "transform"), (bar, "scale")):
    if sign and kind not in parts:
      raise ValueError(f"Spec {spec!r} has {sign!r}, but names no {kind}.")
  if "estimator" not in parts:
    raise ValueError(f"Spec {spec!r} names no estimator.")
  return Binarizer(role=role, **parts, **options)


def _options(text: str, spec: str) -> dict[str, Any]:
  """The options after the semicolon of a spec."""
  _, pairs = _arguments(text.strip(), spec, False)
  if not pairs:
    raise ValueError(f"Spec {spec!r} has ';', but no option follows.")
  registry.check_names(f"option in spec {spec!r}", dict(pairs), OPTIONS)
  return dict(pairs)


def part(
  kind: str,
  text: str,
  spec: str,
  also: Sequence[str] = (),
  as_call: bool = False,
) -> tuple[Any, tuple[tuple[str, Any], ...]]:
  """Reads `name(k=v, ...)`.

  Args:
    kind: kind of the registry.
    text: the part.
    spec: the whole spec, for messages.
    also: names that are a whole spec and never a part; errors mention them.
    as_call: read `text` as a Python call: `name(2, k=v)`. Lists are values, and
      arguments without a default are required.

  Returns:
    The registered object and its hyper-parameters as pairs. A value is a
    literal or a schedule such as `linear(start=0.0, end=1.0)`.

  Raises:
    Unreadable: bad syntax.
    ValueError: unknown name, or arguments that do not fit (`as_call`).
    TypeError: `text` is not a string.
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
  """Splits a list: `"a(1, 2), b"` and `"[a(1, 2), b]"` give `["a(1, 2)", "b"]`.

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
    ValueError: an unknown name (with the nearest one), too many or too few
      arguments, or one argument twice.
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
  """The name and the text in the brackets."""
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
    warnings.simplefilter("ignore", SyntaxWarning)  # about Python code
    return ast.parse(text, mode="eval").body


def _arguments(text: str, spec: str, as_call: bool):
  """Positional values, and pairs of names and values."""
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
    hash(value)  # or a TypeError: binarizers are hashable
    return value
  pairs = _pairs(_call(node), ast.literal_eval)
  try:
    return Annealed(registry.get("schedule", node.func.id), pairs)
  except ValueError as error:
    raise _Named(f"{error} (in spec {spec!r})") from error
