"""What the records say about an experiment: chosen rates, runs of each row."""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from bnnjax.errors import UserError
from bnnjax.evidence.experiment import FACTOR, MOST_ADDED, Experiment, Row
from bnnjax.report import comparability, reading
from bnnjax.train import config_file, differences

Record = Mapping[str, Any]
TUNING = "tuning"  # folder of the records of choices, beside the others


def files(
  results: pathlib.Path,
) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
  """Record files of final runs and of choices."""
  final, tuning = results.glob("*.jsonl"), (results / TUNING).glob("*.jsonl")
  return sorted(final), sorted(tuning)


def read(paths: Iterable[pathlib.Path]) -> dict[str, Record]:
  """Current records by name; files without any (benchmarks) are left out.

  Raises:
    UserError: a line of a file of records is none, or two records of one name
      have other metrics.
  """
  found: dict[str, Record] = {}
  for path in paths:
    for record in reading.whole(path):
      first = found.setdefault(record["name"], record)
      if first["metrics"] != record["metrics"]:
        raise UserError(
          f"Two records have the name {record['name']!r} but other metrics (ids"
          f" {first['id']!r} and {record['id']!r}): remove one of them."
        )
  return found


@dataclasses.dataclass
class Results:
  """Records of an experiment.

  Attributes:
    name: of the experiment, and of the folder of its runs.
    experiment: what is compared.
    final, tuning: records by name, perhaps of other experiments too.
    metric: by which rates are chosen; the highest is best.
  """

  name: str
  experiment: Experiment
  final: Mapping[str, Record]
  tuning: Mapping[str, Record]
  metric: str = "accuracy"

  @classmethod
  def of(
    cls, name: str, experiment: Experiment, results: pathlib.Path
  ) -> "Results":
    """Reads all records in a folder.

    Raises:
      UserError: records are damaged, or are not those of their row.
    """
    final, tuning = files(results)
    found = cls(name, experiment, read(final), read(tuning))
    for row in experiment.rows:
      found.check(row)
    return found

  def check(self, row: Row) -> None:
    """Raises `UserError` if records are not what their names say."""
    runs, choices = self.runs(row), self.all_tried(row)
    for record in (*runs, *choices):
      if self.metric not in record["metrics"]:
        raise UserError(
          f"The record {record['id']!r} of row {row.name!r} has no metric"
          f" {self.metric!r}: remove it, and run the experiment again."
        )
    for record in runs:
      if not record["name"].endswith(f"seed={record['seed']}"):
        raise UserError(
          f"The record {record['id']!r} of row {row.name!r} has the seed"
          f" {record['seed']}, which its name {record['name']!r} does not say."
        )
    for path, values in comparability.differing(runs).items():
      raise UserError(
        f"The runs of row {row.name!r} must differ in nothing but the seed: they"
        f" differ in {path} ({', '.join(values)}). Remove the records of another"
        " config."
      )

  def check_configs(self) -> None:
    """Raises `UserError` if a record is not of the config that its row names.

    A config file or a default may have changed since the run. Where the run
    took its initial network or its teacher from is not compared.
    """
    for row in self.experiment.rows:
      planned = {
        config_file.name_of(spec): spec
        for spec in (
          *(self.tuning_spec(row, rate) for rate in self.rates(row)),
          *(self.final_spec(row, s) for s in range(self.experiment.seeds)),
        )
        if spec
      }
      for record in (*self.all_tried(row), *self.runs(row)):
        spec = planned[record["name"]]
        if changed := _changed(record["config"], config_file.read(spec)):
          raise UserError(
            f"The record {record['id']!r} of row {row.name!r} is of another"
            f" config than {spec!r} is now: {changed} differs. Remove the record;"
            f" `bnnjax reproduce {self.name}` trains the run again."
          )

  def rate(self, row: Row) -> float | None:
    """The rate that is best on the held-out split; `None`: not all are run."""
    if row.rate_of:
      return self.rate(self.experiment.row(row.rate_of))
    rates = self.rates(row)
    found = self._metrics(row, rates)
    if len(found) < len(rates):
      return None
    return max(rates, key=lambda rate: found[rate])

  def rates(self, row: Row) -> tuple[float, ...]:
    """The rates to try, as far as the choices so far tell.

    While the best of them is the smallest or the largest, one more is tried
    beyond it, at most twice.
    """
    rates = sorted(row.rates)
    for _ in range(MOST_ADDED):
      found = self._metrics(row, rates)
      if len(found) < len(rates):
        break
      best = max(rates, key=lambda rate: found[rate])
      if best == rates[-1]:
        rates.append(float(f"{best * FACTOR:g}"))
      elif best == rates[0]:
        rates.insert(0, float(f"{best / FACTOR:g}"))
      else:
        break
    return tuple(rates)

  def _metrics(self, row: Row, rates: Iterable[float]) -> dict[float, float]:
    """The metric of each rate on the held-out split, if it was tried."""
    found = {}
    for rate in rates:
      spec = self.tuning_spec(row, rate)
      record = spec and self.tuning.get(config_file.name_of(spec))
      if record:
        found[rate] = record["metrics"][self.metric]
    return found

  def at_the_edge(self, row: Row) -> bool:
    """Whether the best rate is the smallest or the largest that was tried."""
    rate, tuned = self.rate(row), self.experiment.row(row.rate_of or row.name)
    rates = self.rates(tuned)
    return rate is not None and rate in (min(rates), max(rates))

  def tuning_spec(self, row: Row, rate: float) -> str | None:
    """Config spec of a choice; `None` if it needs a rate that is not chosen."""
    workdirs = self.workdirs(row, 0)
    return None if workdirs is None else row.tuning(rate, workdirs)

  def final_spec(self, row: Row, seed: int) -> str | None:
    """Config spec of a final run; `None` if a rate is not chosen yet."""
    rate, workdirs = self.rate(row), self.workdirs(row, seed)
    if rate is None or workdirs is None:
      return None
    return row.at(rate, seed, workdirs)

  def workdirs(self, row: Row, seed: int) -> dict[str, str] | None:
    """Workdirs of the runs that a row starts from; `None`: no rate yet."""
    found = {}
    for name in row.before:
      spec = self.final_spec(self.experiment.row(name), seed)
      if spec is None:
        return None
      found[name] = f"runs/{self.name}/{config_file.name_of(spec)}"
    return found

  def runs(self, row: Row) -> list[Record]:
    """Final records of a row, by seed."""
    specs = (self.final_spec(row, s) for s in range(self.experiment.seeds))
    names = (config_file.name_of(spec) for spec in specs if spec)
    return [self.final[name] for name in names if name in self.final]

  def is_shown(self, row: Row) -> bool:
    """Whether the row has all its seeds, so that a page may show it."""
    return len(self.runs(row)) == self.experiment.seeds

  def missing(self, row: Row) -> int:
    """Number of runs, choices included, that are not on record."""
    tuned = 0
    if not row.rate_of:
      rates = self.rates(row)
      tuned = len(rates) - len(self._metrics(row, rates))
    return tuned + self.experiment.seeds - len(self.runs(row))

  def all_tried(self, row: Row) -> list[Record]:
    """Records of the choices of a row."""
    specs = (self.tuning_spec(row, rate) for rate in self.rates(row))
    names = (config_file.name_of(spec) for spec in specs if spec)
    return [self.tuning[name] for name in names if name in self.tuning]

  def steps(self, row: Row) -> int | None:
    """Optimizer steps behind a row: its own, its teacher's and initial net's.

    `None` if a record of these is lacking, or too old to say.
    """
    runs = self.runs(row)
    found = [runs[0].get("steps") if runs else None]
    for name in set(row.before):
      found.append(self.steps(self.experiment.row(name)))
    return None if None in found else sum(found)

  def cpu_seconds(self) -> float:
    """Of all runs of the experiment, choices included."""
    rows = self.experiment.rows
    runs = [r for row in rows for r in (*self.runs(row), *self.all_tried(row))]
    unique = {record["id"]: record for record in runs}
    return sum(
      record.get("cpu_seconds", record["wall_seconds"])
      for record in unique.values()
    )


def _changed(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
  """The fields that differ between two configs, as far as results depend."""
  left_out = (*differences.FREE, *differences.WEIGHTS.values())
  there, here = map(differences.from_defaults, (theirs, ours))
  return ", ".join(
    f"`{key}`"
    for key in sorted(there.keys() | here.keys())
    if there.get(key) != here.get(key) and not differences.is_of(key, left_out)
  )
