"""What an experiment compares: rows, the rates they choose from, the claim.

An experiment is a Python file with an `EXPERIMENT`:

  EXPERIMENT = Experiment(
    title="BiPer: a sine before the sign (10,000 training images)",
    paper="BiPer, Vargas et al., CVPR 2024, arXiv:2404.01278",
    rows=(Row("sign", "configs/x.py:method=biper_sign"), ...),
    claims=(Claim("two stages beat the sign", "two stages", "sign"),),
  )

Each row chooses its learning rate on a split held out of training, with one
seed, and is then trained and tested once for every seed.
"""

import dataclasses
import math
import pathlib
import runpy
from collections.abc import Mapping, Sequence

from bnnjax import errors
from bnnjax.errors import UserError

FOLDER = pathlib.Path("experiments")
RATES = (3e-3, 1e-2, 3e-2)
LOW_BIT_RATES = (1e-2, 3e-2, 9e-2)  # signs train best with higher ones
SEEDS = 3
LEAST_RATES = 3
FACTOR = 3.0  # between a rate at the edge and the one that is added
MOST_ADDED = 2


@dataclasses.dataclass(frozen=True)
class Row:
  """A row of the result: one config, trained with every seed.

  Attributes:
    name: in tables.
    spec: config file and its arguments, without `lr`, `seed` and `validate`,
      which the file takes too. `{row}` with the name of another row stands for
      the workdir of that row's run of the same seed, e.g. `teacher={float}`.
    rates: learning rates to choose from; `results.Results.rates` adds to them
      while the best is the smallest or the largest.
    rate_of: name of the row whose choice this row takes instead.
    group: rows of one group are compared with each other, e.g. those of one
      batch size.
    note: what a reader has to know, below the table.
  """

  name: str
  spec: str
  rates: tuple[float, ...] = RATES
  rate_of: str = ""
  group: str = ""
  note: str = ""

  @property
  def before(self) -> tuple[str, ...]:
    """Names of the rows whose networks this one starts or learns from."""
    parts = (part.partition("}") for part in self.spec.split("{")[1:])
    return tuple(name for name, *_ in parts)

  def at(self, rate: float, seed: int, workdirs: Mapping[str, str]) -> str:
    """The config spec of a final run.

    Args:
      rate: learning rate.
      seed: of the run.
      workdirs: of the runs of this seed, by row.
    """
    return f"{self._filled(workdirs)},lr={rate:g},seed={seed}"

  def tuning(self, rate: float, workdirs: Mapping[str, str]) -> str:
    """The config spec of a run that is evaluated on the held-out split."""
    return f"{self._filled(workdirs)},lr={rate:g},validate"

  def _filled(self, workdirs: Mapping[str, str]) -> str:
    spec = self.spec
    for name in self.before:
      spec = spec.replace(f"{{{name}}}", workdirs[name])
    return spec


@dataclasses.dataclass(frozen=True)
class Claim:
  """`better` has a higher value of a metric than `worse`.

  Attributes:
    text: the claim as a sentence without its full stop.
    better, worse: names of rows of one group. `*` as `better` is the row with
      the highest mean apart from those in `besides`: intervals are simultaneous,
      so a row may be chosen after the fact.
    metric: of records; a larger value counts as better.
    besides: rows that `*` leaves out.
    log: whether the ratio is meant, not the difference: for metrics whose spread
      grows with their size.
  """

  text: str
  better: str
  worse: str
  metric: str = "accuracy"
  besides: tuple[str, ...] = ()
  log: bool = False

  @property
  def names(self) -> tuple[str, ...]:
    """All rows that it names."""
    named = (self.better, self.worse, *self.besides)
    return tuple(name for name in named if name != "*")


@dataclasses.dataclass(frozen=True)
class AtEqualCost:
  """Some rows are better than others at the same cost.

  The rows of each side are one network at several widths. `better` is
  interpolated (linear in the logarithm of the cost) at the cost of each row of
  `worse` inside its range.

  Attributes:
    text: the claim as a sentence without its full stop.
    better, worse: names of rows, at least two of `better`.
    cost: a figure of the cost report.
    metric: of records; a larger value counts as better.
  """

  text: str
  better: tuple[str, ...]
  worse: tuple[str, ...]
  cost: str = "ace"
  metric: str = "accuracy"

  @property
  def names(self) -> tuple[str, ...]:
    """All rows that it compares."""
    return *self.better, *self.worse


@dataclasses.dataclass(frozen=True)
class Experiment:
  """An experiment under the protocol.

  Attributes:
    title: with the training size.
    paper: whose claim it tests.
    claim: the claim under test, in a sentence.
    rows: in the order of training; one that another starts from, or takes its
      rate from, comes before it.
    claims: comparisons that make up the claim under test, one at least; the
      first one is the headline of the verdict table.
    also: further comparisons, which the verdict leaves out.
    setting: network, data, optimizer and budget, in sentences.
    seeds: number of final runs of a row, at least 2.
    notes: paragraphs below the result.
    caveat: what a reader has to know first, in a sentence.

  Raises:
    UserError: names of rows are not known, not unique or in the wrong order, or
      there are too few rates, seeds or claims.
  """

  title: str
  paper: str
  claim: str
  rows: Sequence[Row]
  claims: Sequence[Claim | AtEqualCost]
  setting: str
  also: Sequence[Claim | AtEqualCost] = ()
  seeds: int = SEEDS
  notes: Sequence[str] = ()
  caveat: str = ""

  def __post_init__(self):
    names = [row.name for row in self.rows]
    if len(set(names)) < len(names):
      raise UserError(f"Rows of {self.title!r} share a name: {names}.")
    if self.seeds < 2:
      raise UserError(
        f"{self.title!r} needs 2 seeds or more for an interval, got"
        f" {self.seeds}."
      )
    for number, row in enumerate(self.rows):
      for other in (*row.before, *filter(None, [row.rate_of])):
        if other not in names:
          raise errors.unknown("row", other, names)
        if other not in names[:number]:
          raise UserError(
            f"Row {row.name!r} needs the row {other!r}, which must come before"
            " it."
          )
      _check_rates(row)
    for claim in (*self.claims, *self.also):
      for name in claim.names:
        if name not in names:
          raise errors.unknown("row", name, names)
      if not isinstance(claim, Claim):
        continue
      compared = {claim.better, claim.worse} - {"*"}
      groups = {self.row(name).group for name in compared}
      if len(groups) > 1:
        raise UserError(
          f"The claim {claim.text!r} compares rows of several groups, between"
          f" which there are no intervals: {', '.join(sorted(groups))}."
        )
    if not self.claims:
      raise UserError(f"{self.title!r} has no claim to test.")

  def row(self, name: str) -> Row:
    """The row of that name."""
    return next(row for row in self.rows if row.name == name)

  @property
  def groups(self) -> dict[str, list[Row]]:
    """Rows that are compared with each other."""
    found: dict[str, list[Row]] = {}
    for row in self.rows:
      found.setdefault(row.group, []).append(row)
    return found


def _check_rates(row: Row) -> None:
  """Raises `UserError` unless a row has enough different rates."""
  if row.rate_of:
    return
  different = {f"{rate:g}" for rate in row.rates}  # as names of runs say them
  if len(different) < max(LEAST_RATES, len(row.rates)):
    raise UserError(
      f"Row {row.name!r} chooses from the rates {row.rates}: give at least"
      f" {LEAST_RATES} different ones, or `rate_of`."
    )
  if not all(0 < rate < math.inf for rate in row.rates):
    raise UserError(
      f"The rates of row {row.name!r} must be positive: got {row.rates}."
    )


def all_of(folder: pathlib.Path = FOLDER) -> dict[str, pathlib.Path]:
  """Files of experiments by name.

  Raises:
    UserError: there is no such folder.
  """
  if not folder.is_dir():
    raise UserError(
      f"There is no folder {str(folder)!r}: experiments are part of a clone; run"
      " the command in its root, or give `--experiments`."
    )
  files = sorted(folder.glob("*.py"))
  return {f.stem: f for f in files if "\nEXPERIMENT = " in f.read_text()}


def load(name: str, folder: pathlib.Path = FOLDER) -> Experiment:
  """An experiment by the name of its file.

  Raises:
    UserError: an unknown name (with the nearest one), or the file fails.
  """
  files = all_of(folder)
  if name not in files:
    raise errors.unknown("experiment", name, files)
  with errors.running(str(files[name])):
    found = runpy.run_path(str(files[name])).get("EXPERIMENT")
  if not isinstance(found, Experiment):
    raise UserError(
      f"EXPERIMENT in {files[name]} must be an `Experiment`: got {found!r:.60}."
    )
  return found
