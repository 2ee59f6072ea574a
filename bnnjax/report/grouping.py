"""Groups of records: those that differ only in the seed, or by fields."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bnnjax.errors import UserError
from bnnjax.report import fields
from bnnjax.report import record as record_lib

SEED = re.compile(r"-seed=\d+")
# Groups of a config that hold only what differs from defaults kept elsewhere.
OPEN = ("data.options", "model", "task", "optim.options", "optim.latent")
MOST = 5_000  # groups that a table or a figure compares
Config = Mapping[str, Any]  # every value by path; (JSON,) of what is not plain
Paths = tuple[str, ...]
Values = tuple[Any, ...]
_encode = json.JSONEncoder(sort_keys=True).encode
_FOLDER = re.compile(r'/([^/"]+)(?="|$)')


def by_config(
  records: Iterable[Mapping[str, Any]], most: int | None = None
) -> dict[str, list[dict[str, Any]]]:
  """Groups records that differ only in the seed, by name.

  Runs of one name whose configs differ in more, as after an override on the
  command line, form groups `name (2)`, `name (3)`. A field that one of two
  records is too old for does not tell them apart. Superseded records are left
  out.

  Raises:
    UserError: there are more groups than `most`.
  """
  records = record_lib.current(records)
  folders = {r["folder"]: r["name"] for r in records if "folder" in r}
  names = [SEED.sub("", record["name"]) for record in records]
  kinds = [shared(record["config"]) for record in records]
  of_name: dict[str, set[tuple]] = {}
  for name, kind in zip(names, kinds):
    of_name.setdefault(name, set()).add(kind)
  groups: dict[str, list[dict[str, Any]]] = {}
  numbers: dict[str, _Numbers] = {}
  read: dict[tuple, Config] = {}
  for record, name, kind in zip(records, names, kinds):
    key = name
    if len(of_name[name]) > 1:
      if kind not in read:
        read[kind] = leaves(record["config"], folders)
      number = numbers.setdefault(name, _Numbers()).of(read[kind])
      key = name if number == 1 else f"{name} ({number})"
    groups.setdefault(key, []).append(dict(record))
    if most is not None:
      check_number(groups, most)
  return groups


def check_number(groups: Mapping[str, Any], most: int = MOST) -> None:
  """Raises `UserError` if there are too many groups to compare."""
  if len(groups) > most:
    raise UserError(
      f"There are more than {most:,} different configs or groups, too many to"
      " compare: filter the runs, give fewer files, or group the runs of a table"
      " by a field (`--by=method`)."
    )


def shared(config: Mapping[str, Any]) -> tuple:
  """Equal for configs that have the same objects, the seed apart.

  Runs that were loaded together share the parts of their configs, so that one
  look at each kind is enough.
  """
  return tuple((k, id(v)) for k, v in config.items() if k != "seed")


def data_and_task(record: Mapping[str, Any]) -> tuple[int, int]:
  """Equal for records that share the objects of their data and task."""
  config = record["config"]
  return id(config.get("data")), id(config.get("task"))


def distinct(
  records: Iterable[Mapping[str, Any]], part: str
) -> list[Mapping[str, Any]]:
  """A record for each different object that they have as their `part`."""
  return list({id(r[part]): r for r in records}.values())


def by_fields(
  records: Iterable[Mapping[str, Any]], paths: Sequence[str]
) -> dict[str, list[Mapping[str, Any]]]:
  """Groups records by the values of fields, which make the label.

  Raises:
    UserError: no record has one of the fields.
  """
  records = list(records)
  for path in paths:
    fields.check(records, path)
  found: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
  for record in records:
    key = tuple(fields.show(fields.value(record, p)) for p in paths)
    found.setdefault(key, []).append(record)
  groups: dict[str, list[Mapping[str, Any]]] = {}
  for key, runs in found.items():
    label, number = ", ".join(key), 2
    while label in groups:  # ("a, b", "c") and ("a", "b, c")
      label, number = f"{', '.join(key)} ({number})", number + 1
    groups[label] = runs
  return groups


def names(by: str | Sequence[str]) -> list[str]:
  """The fields that `by` names, in a list or separated by commas.

  Raises:
    UserError: it names none, or one twice.
  """
  listed = [n.strip() for n in (by.split(",") if isinstance(by, str) else by)]
  if not listed or not all(listed) or len(set(listed)) < len(listed):
    raise UserError(
      "`by` must name one or more fields, each once, e.g. `method,optim.lr`:"
      f" got {by!r}."
    )
  return listed


def leaves(
  config: Mapping[str, Any], folders: Mapping[str, str] | None = None
) -> Config:
  """JSON of the values of a config by path, without what the seed decides.

  Args:
    config: of a record.
    folders: of the workdirs of a sweep, by the name of their run. The name of a
      teacher's workdir holds its seed, and perhaps its digest.

  Returns:
    Values by dotted path, hashable, see `read_leaf`. A group of `OPEN` is one value: what is left out of
    it is a default, not a field of a later version.
  """

  def plain(text: str) -> str:
    if folders and "/" in text:
      text = _FOLDER.sub(lambda m: f"/{folders.get(m[1], m[1])}", text)
    return SEED.sub("", text) if "-seed=" in text else text

  found = {}
  for path, held in _split(config, ""):
    if isinstance(held, list | dict):
      found[path] = (plain(_encode(held)) if held else str(held),)
    else:
      found[path] = plain(held) if isinstance(held, str) else held
  found.pop("seed", None)
  return found


def read_leaf(leaf: Any) -> Any:
  """The value that `leaves` made a leaf of."""
  return json.loads(leaf[0]) if isinstance(leaf, tuple) else leaf


def _split(held: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
  for key, inner in held.items():
    path = f"{prefix}{key}"
    if isinstance(inner, dict) and path not in OPEN:
      yield path, {}  # tells it from a plain value under the same name
      yield from _split(inner, f"{path}.")
    else:
      yield path, inner


class _Numbers:
  """The different configs of one name, numbered from 1 as they are met.

  A config gets the number of those that it agrees with: the values of all paths
  that both have are equal. Each number holds at most one config for each set of
  paths (a version of the format), so a lookup by values decides, and 100,000
  configs take seconds.
  """

  def __init__(self):
    self._members: list[list[Config]] = []  # by number - 1
    self._met: dict[Paths, dict[Values, int]] = {}
    # Numbers of configs with the second paths, by their values of the paths
    # that the first have too.
    self._alike: dict[tuple[Paths, Paths], dict[Values, list[int]]] = {}

  def of(self, config: Config) -> int:
    paths = tuple(sorted(config))
    if paths not in self._met:
      self._met[paths] = {}
      for other in self._met:
        for pair in {(paths, other), (other, paths)}:
          self._alike[pair] = {}
          for values, number in self._met[pair[1]].items():
            self._file(pair, values, number)
    values = tuple(config[p] for p in paths)
    number = self._met[paths].get(values)
    if number is None:
      number = self._joined(paths, config)
      self._met[paths][values] = number
      for other in self._met:
        self._file((other, paths), values, number)
    return number

  def _joined(self, paths: Paths, config: Config) -> int:
    """The first number all of whose configs agree, or a new one."""
    near = set()
    for other in self._met:
      if other != paths:
        shared = tuple(config[p] for p in other if p in config)
        near.update(self._alike[paths, other].get(shared, ()))
    for number in sorted(near):
      if all(_agree(config, m) for m in self._members[number - 1]):
        self._members[number - 1].append(config)
        return number
    self._members.append([config])
    return len(self._members)

  def _file(self, pair: tuple[Paths, Paths], values: Values, number: int):
    if pair[0] == pair[1]:
      return
    asked = set(pair[0])
    shared = tuple(v for p, v in zip(pair[1], values) if p in asked)
    self._alike[pair].setdefault(shared, []).append(number)


def _agree(one: Config, other: Config) -> bool:
  return all(one[path] == other[path] for path in one.keys() & other.keys())
