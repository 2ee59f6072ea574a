"""Trains every config that an experiment file yields, each run once.

A run is on record if some record has its digest (`identity.of_record`) and its
length; the name does not matter. So two configs with one name are both trained,
and an edited config is trained again, in its own workdir. `supersedes` in the
new record lists the records of that name that belong to no config any more;
tables omit them, the file keeps them.
"""

import dataclasses
import os
import runpy
import sys
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from bnnjax import errors
from bnnjax.data import digest
from bnnjax.errors import UserError
from bnnjax.report import reading
from bnnjax.report import record as record_lib
from bnnjax.train import (
  code,
  config_file,
  identity,
  loop,
  one_bar,
  resume_check,
)
from bnnjax.train import config as config_lib
from bnnjax.train import workdir as workdir_lib
from bnnjax.train.step import NonFiniteLossError

Record = Mapping[str, Any]


def run(
  experiment: str,
  record: str | None = None,
  runs: str = "runs",
  load: Sequence[str] = (),
) -> Path:
  """Trains the configs of a file's `sweep()` that are not on record yet.

  Args:
    experiment: Python file whose `sweep()` yields config specs.
    record: file of the records; by default `results/NAME.jsonl` beside the
      experiment.
    runs: folder of the workdirs.
    load: files of `--load`, which the configs record.

  Returns:
    The file of the records.

  Raises:
    ValueError: there is no `sweep()`, or a config is wrong; raised before the
      first run.
    FileNotFoundError: there is no such file.
  """
  file = Path(experiment)
  path = Path(record or file.parent / "results" / f"{file.stem}.jsonl")
  specs = _specs(file)
  train_missing(specs, path, Path(runs) / file.stem, load=load)
  return path


def train_missing(
  specs: Sequence[str],
  path: Path,
  runs: Path,
  known: Sequence[Path] = (),
  load: Sequence[str] = (),
) -> None:
  """Trains the configs that are not on record yet.

  Args:
    specs: config specs.
    path: file of the records.
    runs: folder of the workdirs.
    known: further files of records; what these hold is not trained again.
    load: files of `--load`.
  """
  record_lib.check_appendable(path)
  plan = [
    Planned(name, config_file.read(spec, load=load))
    for name, spec in zip(_names(specs), specs)
  ]
  Sweep(plan, path, runs, known).run()


def _specs(file: Path) -> list[str]:
  """The config specs that `sweep()` of a file yields."""
  if not file.is_file():
    kind = ", but a folder" if file.is_dir() else ""
    raise FileNotFoundError(f"No experiment {file}{kind}.")
  sys.path.insert(0, str(file.parent))  # an experiment may import its sibling
  try:
    with errors.running(str(file)):
      made = runpy.run_path(str(file))
      if "sweep" not in made:
        raise UserError(f"{file} has no function `sweep()`.")
      specs = list(made["sweep"]())
  finally:
    sys.path.remove(str(file.parent))
  wrong = [repr(spec) for spec in specs if not isinstance(spec, str)]
  if wrong or not specs:
    raise UserError(
      f"`sweep()` of {file} must yield specs such as 'configs/x.py:seed=1': got"
      f" {wrong[0] if wrong else 'none'}."
    )
  return specs


def _names(specs: Iterable[str]) -> list[str]:
  """A unique name for every config: `x`, then `x-2` for another `x`, ..."""
  wanted = [config_file.name_of(spec) for spec in specs]
  names: list[str] = []
  for name in wanted:
    unique, number = name, 1
    while unique in names or (number > 1 and unique in wanted):
      number += 1
      unique = f"{name}-{number}"
    names.append(unique)
  return names


@dataclasses.dataclass
class Planned:
  """A run of a sweep.

  Attributes:
    name: unique in the sweep. Other configs of the sweep refer to the run by a
      workdir of this name, as `init` or teacher.
    config: resolved.
    key: digest of the run and its length.
    folder: name of its workdir; empty until it is chosen.
  """

  name: str
  config: config_lib.Resolved
  key: str = ""
  folder: str = ""

  def to_record(self) -> dict[str, Any]:
    """The part of the record that is known before the run."""
    found = code.of_config(self.config)
    record = {"name": self.name, "config": workdir_lib.to_json(self.config)}
    return record | ({"code": found} if found else {})


class Lines:
  """Shows which run of a sweep begins: a line for each."""

  def begin(
    self, number: int, of: int, name: str, done: bool = False, note: str = ""
  ) -> None:
    """Says which run begins, or is on record."""
    said = " (done)" if done else note
    print(f"[{number}/{of}] {name}{said}", flush=True)


class Sweep:
  """The runs of one experiment.

  Args:
    plan: the runs, in order.
    path: file of the records.
    runs: folder of the workdirs.
    known: further files of records.
    shown: shows the sweep and its runs; by default, `Lines` and the runs do.
  """

  def __init__(
    self,
    plan: Sequence[Planned],
    path: Path,
    runs: Path,
    known: Sequence[Path] = (),
    shown: one_bar.OneBar | None = None,
  ):
    self.plan, self.path, self.runs = plan, path, runs
    self._shown = shown or Lines()
    self._options = {"display": shown.display} if shown else {}
    self._known = [r for file in known for r in reading.whole(file)]
    self._loaded: dict[str, Any] = {}  # digests of data, see `of_record`
    self._keys: dict[str, set[str]] = {}  # keys of records, by record id
    records = {self._place(p.name): p.to_record() for p in self.plan}
    for planned, record in zip(self.plan, records.values()):
      planned.key = self._key(record, records)

  def run(self, diverging: bool = False) -> None:
    """Trains the runs that are not on record, one after the other.

    Args:
      diverging: whether a run may diverge; it then has no record, and the others
        go on.
    """
    for number, planned in enumerate(self.plan, 1):
      head = (number, len(self.plan), planned.name)
      on_record = self._find(planned)
      if on_record is not None:
        planned.folder = _folder(on_record)
        self._shown.begin(*head, done=True)
        continue
      planned.folder = self._choose(planned)
      note = ""
      if planned.folder != planned.name:
        note = f" in {self.runs / planned.folder}: that name is another run's"
      self._shown.begin(*head, note=note)
      try:
        record = self._train(planned)
      except NonFiniteLossError:
        if not diverging:
          raise
        continue
      self._put_on_record(record, planned)

  def records(self) -> list[Record | None]:
    """The record of each run, under whatever name; `None` if it has none."""
    return [self._find(planned) for planned in self.plan]

  def _train(self, planned: Planned) -> dict[str, Any]:
    """Trains a run, or the rest of it, and returns its record.

    Training writes the record to the workdir first, so a sweep that is killed
    before it copies the record finds it there.
    """
    config = self._with_workdirs(planned.config)
    workdir = self.runs / planned.folder
    result = loop.train(config, workdir, name=planned.name, **self._options)
    *_, record = record_lib.read(result.record)
    return record

  def _with_workdirs(self, config: ConfigDict) -> ConfigDict:
    """The config with the actual workdirs of the runs that it starts from.

    If such a run is on record but its workdir is gone, it is trained again; it
    is not put on record a second time.
    """
    fields = config.to_dict()
    distill = fields["task"].get("distill") or {}
    for group, key in ((fields, "init"), (distill, "teacher")):
      before = self._planned(group.get(key))
      if before is None or not before.folder:
        continue
      if before.key not in self._held(before.folder):
        before.folder = self._choose(before)
        print(f"{before.name} is on record without a workdir: trained again")
        self._train(before)
      group[key] = str(self.runs / before.folder)
    return ConfigDict(fields)

  def _planned(self, path: str | None) -> Planned | None:
    """The run of this sweep to which a config refers by a workdir."""
    place = path and os.path.normpath(path)
    return next((p for p in self.plan if self._place(p.name) == place), None)

  def _place(self, folder: str) -> str:
    return os.path.normpath(self.runs / folder)

  def _key(
    self, record: Record, others: Mapping[str, Record], by_name: bool = False
  ) -> str:
    run = identity.of_record(record, others, self._loaded, by_name=by_name)
    return digest.of(run, identity.length(record["config"]))

  def _both(self, record: Record, others: Mapping[str, Record]) -> set[str]:
    """Keys by content and by names: a planned run may lack its data here."""
    return {self._key(record, others, by_name) for by_name in (False, True)}

  def _records(self) -> list[dict[str, Any]]:
    return list(record_lib.read(self.path)) if self.path.exists() else []

  def _folders(self) -> dict[str, Record]:
    """Records by workdir; those of the plan take precedence."""
    records = [r for r in self._records() if _of_a_sweep(r)]
    found = {self._place(_folder(r)): r for r in records}
    mine = {self._place(p.folder): p.to_record() for p in self.plan if p.folder}
    return found | mine

  def _keys_of(self, records: Iterable[Record]) -> list[set[str]]:
    others = self._folders()
    for record in records:
      if record["id"] not in self._keys:
        self._keys[record["id"]] = self._both(record, others)
    return [self._keys[record["id"]] for record in records]

  def _find(self, planned: Planned) -> Record | None:
    """The record of a run; a superseded one is put on record again."""
    records = self._records()
    current = {r["id"] for r in record_lib.current(records)}
    same = [
      record
      for record, keys in zip(records, self._keys_of(records))
      if planned.key in keys
    ]
    found = [record for record in same if record["id"] in current]
    if not found:
      keys = self._keys_of(self._known)
      found = [r for r, k in zip(self._known, keys) if planned.key in k]
    if same and not found:
      again = {**same[-1], "id": uuid.uuid4().hex[:12]}
      return self._put_on_record(again, planned)
    return found[-1] if found else None

  def _put_on_record(self, record: Record, planned: Planned) -> Record:
    """Appends a record; it supersedes records that belong to no config now."""
    records = self._records()
    if record["id"] in {r["id"] for r in records}:
      return record
    current = list(record_lib.current(records))
    wanted = {p.key for p in self.plan}
    gone = [
      r["id"]
      for r, keys in zip(current, self._keys_of(current))
      if r["name"] == planned.name and not keys & wanted and _of_a_sweep(r)
    ]
    folder = planned.folder or _folder(record)
    record = {**record, "name": planned.name, "folder": folder}
    if gone:
      record["supersedes"] = gone
    record_lib.append(self.path, record)
    return record

  def _choose(self, planned: Planned) -> str:
    """The folder of a run: its name or, if another run has it, with a digest.

    A sweep that was killed chooses the same folder again.

    Raises:
      UserError: other runs have both folders.
    """
    records = [r for r in self._records() if _of_a_sweep(r)]
    owners = list(zip(map(_folder, records), self._keys_of(records)))
    names = (planned.name, f"{planned.name}-{planned.key[:8]}")
    for folder in names:
      held = [keys for owned, keys in owners if owned == folder]
      held.append(self._held(folder) or {planned.key})
      if all(planned.key in keys for keys in held):
        return folder
    raise UserError(
      f"There are other runs in {' and '.join(str(self.runs / n) for n in names)},"
      f" where {planned.name} belongs: move them elsewhere."
    )

  def _held(self, folder: str) -> set[str]:
    """Keys of the run that a workdir holds; empty if it holds none."""
    held = resume_check.read(self.runs / folder)
    if held.config is None and held.info is None:
      return set()
    made_by = (held.info or {}).get("config")
    config = made_by or workdir_lib.to_json(held.config)
    return self._both({**held.contents, "config": config}, self._folders())


def _folder(record: Record) -> str:
  """Folder of a record's run; an older record does not have it."""
  return record.get("folder", record["name"])


def _of_a_sweep(record: Record) -> bool:
  """Whether a record is from a sweep, or too old to tell."""
  return "folder" in record or "digest" not in record
