"""The points of the HTML page: groups of runs, of at most `MOST`."""

import collections
import dataclasses
import functools
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from bnnjax import errors
from bnnjax.report import axes, fields, grouping, row

MOST = 2000  # runs, and points, that a page shows
LABELS = ("network", "method", "bits")
# Costs that are counted, then those that are measured.
AXES = sorted(axes.AXES.values(), key=lambda axis: not axis.defined)

Record = fields.Record
Key = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Point:
  """Runs that one mark stands for.

  Attributes:
    name: of their config, or what they have in common.
    labels: task, network, method and bits.
    metric: the headline metric of the task.
    runs: the records, each with the metric.
    same: whether the configs differ only in the seed.
    values: the metric of every seed (runs of one seed are averaged), or of
      every run if the configs differ.
  """

  name: str
  labels: Key
  metric: fields.Metric
  runs: Sequence[Record]
  same: bool

  @functools.cached_property
  def values(self) -> list[float]:
    if not self.same:
      return [self.metric.of(run) for run in self.runs]
    return list(row.by_seed(self.runs, self.metric).values())

  @functools.cached_property
  def mean(self) -> float:
    return statistics.fmean(self.values)

  @functools.cached_property
  def spread(self) -> float | None:
    """Standard deviation of the values; `None` of a single one."""
    return statistics.stdev(self.values) if len(self.values) > 1 else None

  @functools.cached_property
  def costs(self) -> list[float | None]:
    """For each of `AXES`, the mean over the runs that have it, if any has."""
    shared = grouping.distinct(self.runs, "cost")
    return [
      self._cost(
        axis, shared if axis.defined and len(shared) == 1 else self.runs
      )
      for axis in AXES
    ]

  @staticmethod
  def _cost(axis: axes.Axis, runs: Iterable[Record]) -> float | None:
    found = [v for run in runs if (v := axis.read(run)) is not None]
    if not found or found.count(found[0]) == len(found):
      return found[0] if found else None
    return statistics.fmean(found)


def points(runs: Any, metric: str | None) -> tuple[list[Point], list[str]]:
  """The points of a page, the best of each task first.

  Args:
    runs: `bnnjax.report.runs.Runs`.
    metric: name of a metric, or `None` for each task's headline.

  Returns:
    At most `MOST` points, the tasks with most runs first; and sentences on what
    is aggregated or left out.

  Raises:
    UserError: no record has the metric.
  """
  records, notes = list(runs.records), []
  chosen = fields.check_metric(records, metric) if metric and records else None
  found, without = [], 0
  labelled: dict[tuple[int, int], Key] = {}  # many runs share their parts
  for name, group in runs.groups().items():
    parts = id(group[0]["config"]), id(group[0]["cost"])
    if parts not in labelled:
      labelled[parts] = _labels(group[0])
    labels = labelled[parts]
    own = chosen or _headline(group)
    having = [r for r in group if own and own.of(r) is not None]
    without += len(group) - len(having)
    if having:
      having.sort(key=lambda run: run["seed"])
      found.append(Point(name, labels, own, having, True))
  if without:
    what = f"`{metric}`" if metric else "a headline metric"
    notes.append(f"{count(without, 'run')} without {what}: not shown.")
  if len(records) > MOST:
    notes.append(
      f"{len(records):,} runs are more than the {MOST:,} that a page shows one"
      " by one: it shows mean and standard deviation of each group of runs"
      " that differ only in the seed."
    )
  if len(found) > MOST:
    notes[-1] = (
      f"{len(records):,} runs of {len(found):,} configs are more than the"
      f" {MOST:,} that a page shows one by one: it shows mean and standard"
      " deviation of all runs of one task, network, method and bits, whatever"
      " else differs between them."
    )
    found = _merged(found)
  found = _ranked(found)
  if len(found) > MOST:
    notes.append(f"Of {len(found):,} groups, the {MOST:,} best are shown.")
  return found[:MOST], notes


def _labels(record: Record) -> Key:
  shown = (fields.value(record, label) for label in ("task", *LABELS))
  return tuple(errors.one_paragraph(fields.show(v)) or '""' for v in shown)


def _headline(group: Iterable[Record]) -> fields.Metric | None:
  """The headline metric of the first run that has one."""
  names = fields.HEADLINES
  found = (n for run in group for n in names if n in run["metrics"])
  return next(map(fields.metric, found), None)


def count(number: int, what: str) -> str:
  """A number of things: `1 run`, `2,000 runs`."""
  return f"{number:,} {what}{'' if number == 1 else 's'}"


def _merged(found: Iterable[Point]) -> list[Point]:
  """One point for each set of labels and metric."""
  sets = collections.defaultdict(list)
  for point in found:
    sets[point.labels, point.metric].append(point)
  return [
    Point(
      ", ".join(labels[1:]),
      labels,
      metric,
      [run for point in merged for run in point.runs],
      len(merged) == 1,
    )
    for (labels, metric), merged in sets.items()
  ]


def _ranked(found: Sequence[Point]) -> list[Point]:
  """The best point of each task, then the second of each, and so on."""
  tasks = collections.Counter()
  sets = collections.defaultdict(list)
  for point in found:
    tasks[task_of(point)] += len(point.runs)
    sets[task_of(point)].append(point)
  ranked = []
  for order, (task, _) in enumerate(tasks.most_common()):
    down = -1 if sets[task][0].metric.higher_is_better is not False else 1
    best = sorted(sets[task], key=lambda p: (down * p.mean, p.name))
    ranked += [(rank, order, point) for rank, point in enumerate(best)]
  return [point for *_, point in sorted(ranked, key=lambda r: r[:2])]


def task_of(point: Point) -> tuple[str, fields.Metric]:
  """Points with equal ones share an axis."""
  return point.labels[0], point.metric
