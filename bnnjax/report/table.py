"""A table of runs by any field: groups that do not differ, not ranks.

Runs of different tasks (data, splits, sizes) are never pooled: each task has its
own rows and its own fit. Nor are runs that differ in a field that does not
belong to the grouping: their mean would be of nothing in particular.
"""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bnnjax.errors import UserError, unknown
from bnnjax.report import (
  comparability,
  fields,
  grouping,
  statistics,
  table_formats,
)
from bnnjax.report import row as row_lib
from bnnjax.report.row import Row


@dataclasses.dataclass(frozen=True)
class Section:
  """The rows of one task.

  Attributes:
    task: of all runs, see `fields.task`.
    metric: of the means.
    baseline: label of the row that the others are compared with, or `None`.
    rows: the best mean first.
    fit: of method + seed; `None` for too many rows.
    notes: sentences that belong below the table.
  """

  task: str
  metric: fields.Metric
  baseline: str | None
  rows: tuple[Row, ...]
  fit: statistics.Fit | None
  notes: tuple[str, ...]


@dataclasses.dataclass(frozen=True, repr=False)
class Table:
  """A section for each task.

  Attributes:
    head: the fields that the rows are grouped by.
    sections: by task, in the order of the first runs.
  """

  head: tuple[str, ...]
  sections: tuple[Section, ...]

  @property
  def rows(self) -> tuple[Row, ...]:
    """The rows of all sections."""
    return tuple(row for section in self.sections for row in section.rows)

  def __iter__(self) -> Iterator[Row]:
    return iter(self.rows)

  def __len__(self) -> int:
    return len(self.rows)

  def __repr__(self) -> str:
    return self.to_markdown()

  def to_markdown(self) -> str:
    """Markdown, with what the columns mean below each table."""
    return table_formats.markdown(self)

  def to_csv(self) -> str:
    """CSV with plain numbers, a line for each row."""
    return table_formats.csv(self)

  def to_latex(self) -> str:
    """A `tabular` for each task; it needs the package booktabs."""
    return table_formats.latex(self)

  def plot(self, path: os.PathLike | str | None = None) -> Any:
    """Draws the rows, see `bnnjax.report.figures.rows.plot`."""
    from bnnjax.report.figures import rows

    return rows.plot(self, path)

  def _repr_html_(self) -> str:
    return table_formats.html(self)


def make(
  records: Sequence[fields.Record],
  by: str | Sequence[str] | None = None,
  metric: str | None = None,
  *,
  baseline: str | None = None,
) -> Table:
  """Makes a table.

  Args:
    records: of runs.
    by: fields whose values make a row; `None` for a row for each config.
    metric: a key of the records' `metrics`; by default that of each task.
    baseline: label of the row that others are compared with; by default the
      float row of a task, if there is one.

  Raises:
    UserError: no records; no such field, metric or row; a row would mix runs
      that differ in another field, or a run lacks the metric.
  """
  records = list(records)
  if not records:
    raise UserError("There are no records to make a table of.")
  if metric is not None:
    fields.check_metric(records, metric)
  paths = grouping.names(by) if by is not None else []
  for path in paths:
    fields.check(records, path)
  tasks: dict[str, list[fields.Record]] = {}
  known: dict[tuple[int, int], str] = {}
  for record in records:
    same = grouping.data_and_task(record)
    if same not in known:
      known[same] = fields.show(fields.task(record))
    tasks.setdefault(known[same], []).append(record)
  sections = [
    _section(task, runs, paths, metric, baseline, records)
    for task, runs in tasks.items()
    if metric is None or any(metric in run["metrics"] for run in runs)
  ]
  labels = [row.label for section in sections for row in section.rows]
  if baseline is not None and baseline not in labels:
    raise unknown("row", baseline, labels)
  return Table(tuple(paths) or ("config",), tuple(sections))


def _section(
  task: str,
  records: Sequence[fields.Record],
  paths: Sequence[str],
  metric: str | None,
  baseline: str | None,
  everything: Sequence[fields.Record],
) -> Section:
  shown = fields.metric(metric) if metric else fields.metric_of(records)
  if paths:
    groups = grouping.by_fields(records, paths)
    grouping.check_number(groups)
    for label, runs in groups.items():
      comparability.check_row(label, runs, task, paths, everything)
  else:
    groups = grouping.by_config(records, grouping.MOST)
  values = {
    label: row_lib.by_seed(runs, shown) for label, runs in groups.items()
  }
  fit, letters = None, {}
  if len(groups) <= statistics.MOST_METHODS:
    fit = statistics.two_way(values)
    letters = fit.groups(lowest_first=shown.higher_is_better is False)
  notes = _notes(groups, values, fit, letters)
  if shown.name.startswith("best_"):
    notes.append(
      f"{shown.name} is that of the checkpoint that was best on these same"
      " examples, so it is optimistic."
    )
  if paths:
    first = [runs[0] for runs in groups.values()]
    notes += comparability.between_rows(first, paths)
  else:
    notes += comparability.of_one_name(groups)
  if baseline is None:
    baseline, note = _float_row(groups)
    notes += note
  elif baseline not in groups:
    notes.append(f"This task has no row {baseline!r}.")
    baseline = None
  rows = [
    dataclasses.replace(
      row_lib.make(label, runs, paths, values[label], shown),
      letters=letters.get(label, ""),
      difference=row_lib.difference(label, baseline, fit, values),
    )
    for label, runs in groups.items()
  ]
  sign = 1 if shown.higher_is_better is False else -1
  rows.sort(key=lambda row: sign * row.mean)
  return Section(task, shown, baseline, tuple(rows), fit, tuple(notes))


def _notes(
  groups: Mapping[str, Sequence[fields.Record]],
  values: Mapping[str, Mapping[int, float]],
  fit: statistics.Fit | None,
  letters: Mapping[str, str],
) -> list[str]:
  notes = []
  repeated = [k for k, runs in groups.items() if len(runs) > len(values[k])]
  if repeated:
    notes.append(
      "Several runs of one seed count once, as their mean:"
      f" {comparability.some(repeated)}."
    )
  if fit is None:
    notes.append(
      f"No intervals: there are more than {statistics.MOST_METHODS} rows."
    )
  elif fit.reason:
    notes.append(f"No intervals: {fit.reason}.")
  else:
    notes.append(
      f"Intervals: model row + seed, residual standard deviation"
      f" {fit.variance**0.5:.3g}, {fit.degrees} degrees of freedom."
    )
    if comparability.spreads_differ(
      [list(v.values()) for v in values.values()]
    ):
      notes.append(
        "The rows' spreads differ (Bartlett's test, p < 0.05), but one is pooled"
        " from all: intervals are too wide for some rows, too narrow for others."
        " Filter for the rows to be compared."
      )
    if not letters:
      notes.append("No groups: there are more of them than letters.")
    if len({tuple(sorted(by_seed)) for by_seed in values.values()}) > 1:
      notes.append(
        "Rows lack seeds that others have: differences and groups are adjusted"
        " for that, means are not."
      )
    if not fit.linked:
      notes.append(
        "Rows without a chain of common seeds between them are not compared;"
        " they may share a letter."
      )
  runs = [run for runs in groups.values() for run in runs]
  notes += comparability.of_costs(groups) + comparability.of_data(runs)
  for name, axis in row_lib.COSTS.items():
    mixed = [
      k
      for k, runs in groups.items()
      if len(row_lib.cost_values(runs, axis)) > 1
    ]
    if mixed:
      notes.append(
        f"{name}: not the same for all runs of a row, so it is left empty:"
        f" {comparability.some(mixed)}."
      )
  return notes


def _float_row(
  groups: Mapping[str, Sequence[fields.Record]],
) -> tuple[str | None, list[str]]:
  """The row of float networks if there is one, and a note if there are more."""
  found = [
    label
    for label, runs in groups.items()
    if {fields.bits(r) for r in grouping.distinct(runs, "cost")}
    == {fields.FLOAT}
  ]
  if len(found) < 2:
    return (found[0] if found else None), []
  return None, [
    f"Several rows are float ({comparability.some(found)}): name one as the"
    " baseline for differences."
  ]
