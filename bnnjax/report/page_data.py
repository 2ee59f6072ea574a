"""What the HTML page embeds: its points, and where each comes from.

A page of 500 runs must stay small, so a text is a list of indices into a table
of its words, and of a config only what differs is told.
"""

import collections
import dataclasses
import functools
import json
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bnnjax import errors
from bnnjax.errors import UserError
from bnnjax.report import axes, fields, grouping

MOST = 2000  # runs, and points, that a page shows
LABELS = ("network", "method", "bits")
LONGEST = 160  # characters of a config's value
NOT_SET = "not set"
# Costs that are counted, then those that are measured.
AXES = sorted(axes.AXES.values(), key=lambda axis: not axis.defined)
# Words of names and commands: what many of these share, in one piece.
_WORD = re.compile(
  r"bnnjax train --config=[^:, ]*| --config\.[^= ]*=|[^-,: ]+[-,:]?|[-,: ]"
)

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
    by_seed: dict[Any, list[float]] = {}
    for number, run in enumerate(self.runs):
      key = run["seed"] if self.same else number
      by_seed.setdefault(key, []).append(self.metric.of(run))
    return [statistics.fmean(values) for values in by_seed.values()]

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
    shared = _distinct(self.runs)
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


def _distinct(runs: Iterable[Record]) -> list[Record]:
  """One run for each cost; runs that were loaded together may share it."""
  return list({id(run["cost"]): run for run in runs}.values())


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
    notes.append(f"{_count(without, 'run')} without {what}: not shown.")
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


def _count(number: int, what: str) -> str:
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


class Words:
  """Texts as lists of indices into a table of words, the commonest first."""

  def __init__(self):
    self._counts = collections.Counter()

  def text(self, text: str) -> "Text":
    return self.of(_WORD.findall(text))

  def word(self, text: str) -> "Text":
    """As one word: for what is repeated as a whole."""
    return self.of([text])

  def of(self, words: Sequence[str]) -> "Text":
    self._counts.update(words)
    return Text(words)

  def json(self, data: Mapping[str, Any]) -> str:
    """JSON of data that hold `Text`s, with the table as `words`."""
    table = [word for word, _ in self._counts.most_common()]
    place = {word: number for number, word in enumerate(table)}
    return json.dumps(
      {"words": table, **data},
      default=lambda text: text.at(place),
      separators=(",", ":"),
      allow_nan=False,
    )


@dataclasses.dataclass(frozen=True)
class Text:
  """A text of `Words`."""

  words: Sequence[str]

  def at(self, place: Mapping[str, int]) -> int | list[int]:
    """Indices of the words; of a single one, the bare index."""
    found = [place[word] for word in self.words]
    return found[0] if len(found) == 1 else found


def embedded(
  shown: Sequence[Point],
  axis: str,
  aggregated: bool,
  command: Callable[[Record], str],
) -> str:
  """JSON of the page, see its script.

  Args:
    shown: the points.
    axis: of `axes.AXES`, the first to be shown.
    aggregated: whether single runs are left out.
    command: what repeats a run, or a sentence that says why nothing is known.
  """
  words, costs = Words(), _Costs()
  tasks = list(dict.fromkeys(map(task_of, shown)))
  records = [
    [run for point in shown if task_of(point) == task for run in point.runs]
    for task in tasks
  ]
  told = [
    point.runs[: 1 if aggregated else None] if point.same else ()
    for point in shown
  ]
  common = [
    Common(
      (run, len(point.runs) if aggregated else 1)
      for point, runs in zip(shown, told)
      if task_of(point) == task
      for run in runs
    )
    for task in tasks
  ]
  names = [name for name, _ in tasks]
  groups, rows = [], []
  for number, point in enumerate(shown):
    task = tasks.index(task_of(point))
    groups.append(
      [
        task,
        *map(words.word, point.labels[1:]),
        words.text(errors.one_paragraph(point.name)),
        _number(point.mean),
        _number(point.spread),
        len(point.values),
        len(point.runs),
        *costs.of(point.costs),
      ]
    )
    for run in told[number]:
      rows.append([
        number,
        words.word(str(run["seed"])),
        _number(point.metric.of(run)),
        _number(run["wall_seconds"]),
        words.word(errors.one_paragraph(run["device"])),
        words.word(errors.one_paragraph(run["commit"] or "not recorded")),
        words.text(errors.one_paragraph(run["name"])),
        words.text(command(run)),
        words.of(common[task].difference(run)),
        *costs.of([axis.read(run) for axis in AXES]),
      ])  # fmt: skip
  return words.json({
    "tasks": [
      {
        "name": name if names.count(name) == 1 else f"{name}: {m.label}",
        "label": m.label,
        "higher": m.higher_is_better,
        "common": words.of([f"{k} = {v}" for k, v in sorted(c.config.items())]),
        "costs": [_about(runs, a) for a in AXES],
      }
      for (name, m), c, runs in zip(tasks, common, records)
    ],
    "axes": [
      {"label": a.label, "title": a.title, "head": _head(a)}
      for a in AXES
    ],
    "axis": [a.name for a in AXES].index(axis),
    "aggregated": aggregated,
      "costs": costs.table,
    "groups": groups,
    "runs": rows,
  })  # fmt: skip


class _Costs:
  """Costs of points. Many share all that are counted; times are their own."""

  def __init__(self):
    self.table: list[tuple[float | None, ...]] = []
    self._places: dict[tuple[float | None, ...], int] = {}

  def of(self, values: Iterable[float | None]) -> tuple[Any, ...]:
    """Index of what is counted, and what is measured."""
    found = [(axis, _number(value)) for axis, value in zip(AXES, values)]
    counted = tuple(value for axis, value in found if axis.defined)
    if counted not in self._places:
      self._places[counted] = len(self.table)
      self.table.append(counted)
    measured = (value for axis, value in found if not axis.defined)
    return self._places[counted], *measured


def _head(axis: axes.Axis) -> str:
  """Heading of a column: without the unit where the name implies it."""
  unit = axis.unit.removesuffix(" per example")
  implied = unit.endswith("MACs") or unit in axis.label
  return axis.label if implied else f"{axis.label}, {unit}"


def _about(runs: Sequence[Record], axis: axes.Axis) -> str:
  """What a cost is, and what is doubtful about that of some runs."""
  if not axis.defined:
    return ""
  having = [run for run in _distinct(runs) if axis.read(run) is not None]
  if not having:
    return ""
  try:
    doubts = axes.check_definitions(having, axis)
  except UserError as error:
    return errors.one_paragraph(f"Do not compare: {error}")
  if not doubts:
    from bnnjax.cost import definition_versions  # imports jax

    try:
      defined = definition_versions.of_cost(having[0]["cost"])[axis.defined]
      doubts = [f"{axis.label}: {defined}."]
    except (KeyError, ValueError):  # of a later version
      doubts = []
  return errors.one_paragraph(" ".join(doubts))


def _number(value: float | None) -> float | None:
  if value is None or isinstance(value, int):
    return value
  return int(value) if value.is_integer() else float(f"{value:.7g}")


class Common:
  """The commonest value of every field of some configs, the seed apart.

  Args:
    runs: records, and how many runs have the config of each.
  """

  def __init__(self, runs: Iterable[tuple[Record, int]]):
    self._read: dict[int, dict[str, str]] = {}
    counts: dict[str, collections.Counter] = {}
    total = 0
    for run, number in runs:
      total += number
      for field, text in self._fields(run).items():
        counts.setdefault(field, collections.Counter())[text] += number
    self.config = {}
    for field, values in counts.items():
      (text, number), *_ = values.most_common(1)
      absent = total - sum(values.values())
      if not (_may_lack(field) and absent > number):
        self.config[field] = text

  def difference(self, run: Record) -> list[str]:
    """`field = value` of the fields that differ.

    A field that the record is too old for is no difference.
    """
    own, found = self._fields(run), []
    for field in sorted({*own, *self.config}):
      value = own.get(field, NOT_SET)
      is_old = field not in own and not _may_lack(field)
      if not is_old and value != self.config.get(field, NOT_SET):
        found.append(f"{field} = {value}")
    return found

  def _fields(self, run: Record) -> dict[str, str]:
    config = run["config"]
    if id(config) not in self._read:
      self._read[id(config)] = {
        errors.one_paragraph(field): _shown(value)
        for field, value in fields.leaves(config).items()
        if field != "seed"
      }
    return self._read[id(config)]


def _may_lack(field: str) -> bool:
  return any(field == g or field.startswith(f"{g}.") for g in grouping.OPEN)


def _shown(value: Any) -> str:
  text = value if isinstance(value, str) else json.dumps(value)
  text = errors.one_paragraph(text) or '""'
  return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
