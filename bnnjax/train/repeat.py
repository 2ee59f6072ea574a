"""The command that repeats a run on record.

A record holds the resolved config of its run, and a name made of the config
file and its arguments (`config_file.name_of`). The file is found again by the
name; what its config lacks is given as overrides. A command is returned only if
the command line would read the config of the record from it.
"""

import re
import shlex
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from bnnjax import errors, tasks
from bnnjax.core import registry
from bnnjax.errors import UserError
from bnnjax.train import (
  config_fields,
  config_file,
  config_overrides,
  data_facts,
  differences,
)
from bnnjax.train.differences import FREE, TOLD, UNSET

# A value may hold a minus sign (`lr=1e-3`), but a name begins with a letter.
_NEXT_ARGUMENT = re.compile(r"-(?=[a-zA-Z_])")
_NUMBER = re.compile(r"(^|-)\d+$")


class Commands:
  """Finds the commands of runs.

  Args:
    folder: of the config files. One that a record is named after is run.
  """

  def __init__(self, folder: str = "configs"):
    self._folder = Path(folder)
    files = sorted(self._folder.glob("*.py"))
    # In a command, a colon ends the name of the file.
    self._files = {p.stem: p for p in files if ":" not in str(p)}
    self._made: dict[Path, Callable[[str], ConfigDict]] = {}
    self._facts: dict[str, dict[str, Any]] = {}

  def of(self, record: Mapping[str, Any]) -> str:
    """A command line that trains with the config of a record.

    Fields that do not affect what is computed (`differences.FREE`) are left to
    the config file.

    Raises:
      ValueError: no command is known to do that; says why.
    """
    wanted = differences.flat(record["config"])
    spec, config = self._find(record["name"], wanted)
    if record["config"].get("load") or config.get("load"):
      raise UserError("The run loaded Python files, which the report does not.")
    overrides = self._overrides(wanted, self._fields(config))
    if overrides:
      config_overrides.apply(config, config_overrides.pairs(overrides))
      left = self._overrides(wanted, self._fields(config))
      if left:
        raise UserError(f"No override gives its `{_field(left[0])}`.")
    command = shlex.join(["bnnjax", "train", f"--config={spec}", *overrides])
    if not command.isprintable():
      raise UserError("Its config has characters that no terminal shows.")
    return command

  def _find(
    self, name: str, wanted: Mapping[str, Any]
  ) -> tuple[str, ConfigDict]:
    """The spec of a run's name with those arguments that the file takes.

    Returns:
      The spec, and the config that the file makes of it, unlocked.
    """
    stems = [s for s in self._files if f"{name}-".startswith(f"{s}-")]
    if not stems:
      raise UserError(
        f"The folder {str(self._folder)!r} has no config file of its name."
      )
    stem = max(stems, key=len)
    path, rest = self._files[stem], name[len(stem) + 1 :]
    # A sweep appends a number to the second run of a name.
    given = _arguments(rest, wanted)
    tries = [given, _arguments(_NUMBER.sub("", rest), wanted)]
    tries += [given[:count] for count in reversed(range(len(given)))]
    for given in tries:
      argument = ",".join(given)
      try:
        config = self._make(path, argument)
      except ValueError as error:
        wrong = error
        continue
      return f"{path}:{argument}".removesuffix(":"), config
    raise UserError(f"Its config file {path} does not run: {wrong}")

  def _make(self, path: Path, argument: str) -> ConfigDict:
    """What the file makes of an argument, unlocked; the file is run once."""
    if path not in self._made:
      made = config_file.run(str(path)).get("get_config")
      if not callable(made):
        raise UserError("it has no function `get_config(arg)`.")
      self._made[path] = made
    with errors.running(str(path)), warnings.catch_warnings():
      warnings.simplefilter("ignore")
      config = self._made[path](argument)
    if not isinstance(config, ConfigDict):
      raise UserError("its `get_config` returns no ConfigDict.")
    return config.unlock()

  def _fields(self, config: ConfigDict) -> dict[str, Any]:
    """The fields of a config by dotted name, those of the data set too."""
    fields = differences.defaults() | differences.flat(config)
    asked = {
      k: v for k, v in fields.items() if k.startswith(("data.", "task."))
    }
    key = repr(asked)
    if key not in self._facts:
      self._facts[key] = _facts(config)
    return fields | self._facts[key]

  def _overrides(
    self, wanted: Mapping[str, Any], made: Mapping[str, Any]
  ) -> list[str]:
    """Overrides that turn one config into another."""
    found = []
    for field, value in _changes(wanted, made):
      known = config_fields.is_open(field) or field in config_fields.FIELDS
      if value is UNSET or not known:
        raise UserError(
          f"Its config {'lacks' if value is UNSET else 'has'} `{field}`, and no"
          " override changes that."
        )
      if field.startswith("model."):
        _check_model(wanted, field.split(".")[1])
      text = _text(field, value, made.get(field))
      found.append(f"--config.{field}={text}")
    return found


def _changes(wanted, made) -> Iterator[tuple[str, Any]]:
  """Fields of `made` that differ from `wanted`, with the values wanted.

  A field that a record is too old to have had its default.
  """
  for field in sorted({*wanted, *made}):
    if differences.is_of(field, FREE):
      continue
    if field in TOLD and field not in wanted:
      continue
    value = wanted.get(field, differences.defaults().get(field, UNSET))
    if not _same(value, made.get(field, UNSET)):
      yield field, value


def _same(one: Any, other: Any) -> bool:
  return one == other and isinstance(one, bool) == isinstance(other, bool)


def _facts(config: ConfigDict) -> dict[str, Any]:
  """What the source says of its data; nothing if they are not here."""
  settings, task = ConfigDict(config.data.to_dict()), tasks.build(config.task)
  try:
    data_facts.ask(settings, task)
  except (ValueError, OSError, ImportError):
    return {}
  told = differences.flat({"data": settings.to_dict()})
  return {field: told[field] for field in TOLD if field in told}


def _check_model(wanted: Mapping[str, Any], argument: str) -> None:
  """Raises if the model does not take the argument (any more)."""
  name = wanted.get("model.name")
  try:
    takes = registry.accepts("model", name)
  except ValueError as error:
    raise UserError(f"Its model {name!r} is not known here.") from error
  if argument not in ("name", *takes) and not takes.open_ended:
    raise UserError(f"Its model {name!r} does not take `{argument}` any more.")


def _arguments(text: str, wanted: Mapping[str, Any]) -> list[str]:
  """Arguments of a config file, from the end of a run's name.

  Example:
    >>> _arguments("full-lr=1e-3-teacher=t", {"init": "runs/t"})
    ['full', 'lr=1e-3', 'teacher=runs/t']
  """
  # Of a path, the name has the last part, which may look like arguments.
  paths = [v for v in wanted.values() if isinstance(v, str) and "/" in v]
  for number, path in enumerate(paths):
    last = re.escape(path.rstrip("/").rpartition("/")[2])
    text = re.sub(rf"={last}(?=-|$)", f"=\0{number}\0", text)
  parts = [part for part in _NEXT_ARGUMENT.split(text) if part]
  return [
    re.sub("\0(\\d+)\0", lambda found: paths[int(found[1])], part)
    for part in parts
  ]


def _text(field: str, value: Any, now: Any) -> str:
  """How an override writes a value; `now` is the field's in the file."""
  if not isinstance(value, str):
    return repr(_tuples(value))
  default = now
  if not config_fields.is_open(field):
    default = config_fields.FIELDS[field].default
  read = config_overrides.read(field, value, default)
  return value if read == value else repr(value)


def _tuples(value: Any) -> Any:
  if isinstance(value, list):
    return tuple(_tuples(v) for v in value)
  if isinstance(value, Mapping):
    return {k: _tuples(v) for k, v in value.items()}
  return value


def _field(override: str) -> str:
  return override.partition("=")[0].removeprefix("--config.")
