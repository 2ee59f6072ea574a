"""What the HTML page embeds: its points, and where each comes from.

A page of 500 runs must stay small, so a text is a list of indices into a table
of its words, and of a config only what differs is told.
"""

import collections
import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bnnjax import errors
from bnnjax.errors import UserError
from bnnjax.report import axes, fields, grouping
from bnnjax.report.page_points import AXES, Point, task_of

LONGEST = 160  # characters of a config's value
NOT_SET = "not set"
# Words of names and commands: what many of these share, in one piece.
_WORD = re.compile(
  r"bnnjax train --config=[^:, ]*| --config\.[^= ]*=|[^-,: ]+[-,:]?|[-,: ]"
)

Record = fields.Record


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
    groups.append([task, *_group(point, words, costs)])
    for run in told[number]:
      texts = command(run), common[task].difference(run)
      rows.append([number, *_run(run, point.metric, texts, words, costs)])
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
      {"label": a.label, "title": a.title, "head": _head(a)} for a in AXES
    ],
    "axis": [a.name for a in AXES].index(axis),
    "aggregated": aggregated,
    "costs": costs.table,
    "groups": groups,
    "runs": rows,
  })  # fmt: skip


def _group(point: Point, words: Words, costs: "_Costs") -> list[Any]:
  """What the page says of a point, after its task."""
  return [
    *map(words.word, point.labels[1:]),
    words.text(errors.one_paragraph(point.name)),
    _number(point.mean),
    _number(point.spread),
    len(point.values),
    len(point.runs),
    *costs.of(point.costs),
  ]


def _run(
  run: Record,
  metric: fields.Metric,
  texts: tuple[str, list[str]],
  words: Words,
  costs: "_Costs",
) -> list[Any]:
  """What the page says of a run, after the number of its point.

  Args:
    run: the record.
    metric: of its task.
    texts: its command, and the fields in which its config differs.
    words, costs: tables of the page.
  """
  command, difference = texts
  return [
    words.word(str(run["seed"])),
    _number(metric.of(run)),
    _number(run["wall_seconds"]),
    words.word(errors.one_paragraph(run["device"])),
    words.word(errors.one_paragraph(run["commit"] or "not recorded")),
    words.text(errors.one_paragraph(run["name"])),
    words.text(command),
    words.of(difference),
    *costs.of([axis.read(run) for axis in AXES]),
  ]


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
  having = [
    run for run in grouping.distinct(runs, "cost") if axis.read(run) is not None
  ]
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
