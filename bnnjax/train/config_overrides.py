"""`--config.FIELD=VALUE`: checks names before a config file runs, reads values.

ml_collections reads such flags too, but not if the file sets the field to None.
"""

import ast
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from bnnjax.errors import UserError, nearest
from bnnjax.train import config_fields

BOOLS = {"true": True, "1": True, "false": False, "0": False}
TEXT_TOO = ("data.augment", "data.eval_augment")  # one name, or a tuple

Pairs = Sequence[tuple[str, str | bool]]


def check(spec: str, given: Pairs) -> None:
  """Raises if there is no such config file, or no such field.

  Raises:
    UserError: with the nearest name.
  """
  path, _, _ = spec.partition(":")
  if "\0" in path or not Path(path).is_file():
    folder = Path(path.replace("\0", "")).parent
    near = [str(p) for p in folder.glob("*.py")]
    raise UserError(f"There is no config file {path!r}.{nearest(path, near)}")
  name = Path(path).name.removesuffix(".py")
  if name in ("", ".", ".."):
    raise UserError(
      f"A run is named after its config file, and {path!r} leaves no name:"
      " rename the file."
    )
  for field, _ in given:
    _check_name(field)


def pairs(overrides: Sequence[str]) -> list[tuple[str, str | bool]]:
  """`["--config.optim.lr=1e-3"]` as `[("optim.lr", "1e-3")]`.

  `--config.FIELD` alone is True, `--noconfig.FIELD` False.
  """
  found = []
  for override in overrides:
    name, given, text = override.partition("=")
    if name.startswith("--noconfig.") and not given:
      found.append((name.removeprefix("--noconfig."), False))
    elif name.startswith("--config."):
      found.append((name.removeprefix("--config."), text if given else True))
    else:
      raise UserError(
        f"An override is written --config.FIELD=VALUE, got {override!r}."
      )
  return found


def apply(config: ConfigDict, given: Pairs) -> None:
  """Sets fields of an unlocked config in place; the last value of a name wins.

  The type of the field's default decides how a value is read. Arguments of the
  model, task, source or optimizer have no default here: the type of their value
  in the file decides (text stays text); without one, the value is a Python
  literal or else the text itself. `None` is None.

  Raises:
    UserError: there is no such field, it is a group, or the value is missing or
      has another type.
  """
  for name, text in given:
    _check_name(name)
    *groups, key = name.split(".")
    place = config
    for depth, group in enumerate(groups, 1):
      place = place.get(group)
      if not isinstance(place, ConfigDict):
        raise UserError(
          f"Config field {'.'.join(groups[:depth])!r} is {place!r} here and has"
          f" no fields, such as {key!r}."
        )
    now = place.get(key)
    if isinstance(now, ConfigDict):
      raise _group(name, now)
    default = (
      now if config_fields.is_open(name) else config_fields.FIELDS[name].default
    )
    value = read(name, text, default)
    with config.ignore_type():
      place[key] = value


def read(name: str, text: str | bool, default: Any) -> Any:
  """The value of a text, for a field with that default."""
  if isinstance(text, bool):
    if not isinstance(default, bool):
      raise UserError(
        f"Config field {name!r} needs a value: --config.{name}=VALUE."
      )
    return text
  if text == "None":
    return None
  if isinstance(default, str):
    return text
  if isinstance(default, bool):
    if text.lower() not in BOOLS:
      raise _wrong(name, "true or false", text)
    return BOOLS[text.lower()]
  value = _literal(text)
  number = isinstance(value, (int, float)) and not isinstance(value, bool)
  is_open = config_fields.is_open(name)
  if isinstance(default, (int, float)) and not number:
    raise _wrong(name, "a number", text)
  if isinstance(default, int) and not isinstance(value, int) and not is_open:
    raise _wrong(name, "a whole number", text)
  other = isinstance(value, tuple) or is_open or name in TEXT_TOO
  if isinstance(default, tuple) and not other:
    raise _wrong(name, "a tuple, written (1, 2) or (1,)", text)
  if isinstance(default, float) and isinstance(value, int):
    try:
      return value if is_open else float(value)
    except OverflowError:
      raise _wrong(name, "a finite number", text) from None
  return value


def _literal(text: str) -> Any:
  """A plain Python literal, lists as tuples; else the text itself."""
  try:
    with warnings.catch_warnings():  # about invalid escapes in a string
      warnings.simplefilter("ignore")
      value = ast.literal_eval(text.strip())
  except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
    try:
      return float(text)  # nan and inf are no literals
    except ValueError:
      return text
  return _tuples(value) if config_fields.is_plain(value) else text


def _tuples(value: Any) -> Any:
  if isinstance(value, (list, tuple)):
    return tuple(_tuples(v) for v in value)
  if isinstance(value, dict):
    return {k: _tuples(v) for k, v in value.items()}
  return value


def _check_name(name: str) -> None:
  known = [n for n in config_fields.FIELDS if n not in config_fields.OPEN]
  if name in known or (
    config_fields.is_open(name) and "" not in name.split(".")
  ):
    return
  inside = [n for n in known if n.startswith(f"{name}.")]
  if inside or name in config_fields.OPEN:
    raise _group(name, [n.removeprefix(f"{name}.") for n in inside])
  raise UserError(
    f"Unknown config field {f'config.{name}'!r}."
    f"{nearest(f'config.{name}', [f'config.{n}' for n in known])}"
    " `--fields` lists them."
  )


def _group(name: str, inside: Any) -> UserError:
  keys = [str(k) for k in inside] or ["NAME"]
  return UserError(
    f"Config field {name!r} has fields ({', '.join(keys)}): set one of them,"
    f" e.g. --config.{name}.{keys[0]}=VALUE."
  )


def _wrong(name: str, wanted: str, text: str) -> UserError:
  return UserError(f"Config field {name!r} must be {wanted}, got {text!r}.")
