"""One HTML page of runs: a figure, a filter and a table, in one file.

The page draws itself with the script of `page.html`; it needs no other file and
no network. What it says of a run comes from records, which may hold any text.
"""

import html
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any

from bnnjax import errors
from bnnjax.report import axes, fields, page_data, page_points, reading
from bnnjax.report.page_points import Point

Command = Callable[[fields.Record], str]

TEMPLATE = pathlib.Path(__file__).with_name("page.html")
ROWS = 40  # of the table that is shown without a script
_SLOT = re.compile("<!-- (title|count|notes|skipped|static|data) -->")
# In the JSON of a page, so that no text ends the script element.
_ESCAPED = {ord(c): f"\\u{ord(c):04x}" for c in "<>&"}


def page(
  runs: Any,
  *,
  title: str = "Accuracy against cost",
  metric: str | None = None,
  axis: str = "ace",
  command: Command | None = None,
) -> str:
  """A self-contained HTML page of all runs.

  It draws the metric against a cost, with the Pareto front, for one task at a
  time. A point is the mean over seeds, or a single run. Pages of more than
  2,000 runs hold only means.

  Args:
    runs: `bnnjax.report.runs.Runs`.
    title: heading of the page.
    metric: name of a metric; by default, the headline metric of each task.
    axis: the cost that is shown first, of `axes.AXES`.
    command: finds what repeats a run, or raises a `ValueError` that says why
      nothing is known (`bnnjax.train.repeat.Commands.of`).

  Returns:
    The text of the file, all ASCII.

  Raises:
    UserError: an unknown axis, or a metric that no record has.
  """
  axes.axis(axis)
  shown, notes = page_points.points(runs, metric)
  aggregated = len(runs.records) > page_points.MOST
  data = page_data.embedded(shown, axis, aggregated, _said(command))
  parts = {
    "title": _text(title),
    "count": _text(_count(runs, shown)),
    "notes": _notes(notes),
    "skipped": _notes([f"{line}." for line in reading.say(runs.skipped)]),
    "static": _static(shown),
    "data": data.translate(_ESCAPED),
  }
  template = re.sub(r"\n\s+", "\n", TEMPLATE.read_text("utf-8"))
  return _SLOT.sub(lambda slot: parts[slot[1]], template)


def _said(command: Command | None) -> Command:
  """The command of a run, or why there is none."""

  def said(record: fields.Record) -> str:
    if command is None:
      return "not looked for"
    try:
      return command(record)
    except ValueError as error:
      return errors.one_paragraph(str(error))

  return said


def _text(text: str) -> str:
  """Text of a person or a record as HTML."""
  shown = html.escape(errors.one_paragraph(text))
  return shown.encode("ascii", "xmlcharrefreplace").decode()


def _count(runs: Any, shown: Sequence[Point]) -> str:
  """What the page holds, in one line."""
  if not shown:
    return "No runs." if not runs.records else "No run with a metric."
  drawn = sum(len(point.runs) for point in shown)
  tasks = len({page_points.task_of(point) for point in shown})
  count = page_points.count
  return (
    f"{count(drawn, 'run')} of {count(len(shown), 'config')} on"
    f" {count(tasks, 'task')}."
  )


def _notes(notes: Sequence[str]) -> str:
  lines = "".join(f"<li>{_text(note)}</li>" for note in notes)
  return f'<ul class="notes">{lines}</ul>' if lines else ""


def _static(shown: Sequence[Point]) -> str:
  """A table for readers without script: the best points of each task."""
  rows = shown[:ROWS]
  told = [
    number
    for number in range(len(page_points.AXES))
    if any(point.costs[number] is not None for point in rows)
  ]
  head = (
    "task",
    "config",
    "result",
    "n",
    *(page_points.AXES[n].label for n in told),
  )
  lines = ["".join(f"<th>{_text(h)}" for h in head)]
  for point in rows:
    spread = "" if point.spread is None else f" ± {point.spread:.2f}"
    cells = (
      point.labels[0],
      point.name,
      f"{point.metric.label}: {point.mean:.2f}{spread}",
      str(len(point.values)),
      *(_figure(point.costs[n]) for n in told),
    )
    lines.append("".join(f"<td>{_text(cell)}" for cell in cells))
  table = "".join(f"<tr>{line}\n" for line in lines)
  return (
    "<p>This page draws and filters with JavaScript, which is off. Its"
    f" {'best ' if len(rows) < len(shown) else ''}{len(rows)} points:</p>"
    f'<div class="scroll"><table>{table}</table></div>'
  )


def _figure(value: float | None) -> str:
  if value is None:
    return ""
  return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
