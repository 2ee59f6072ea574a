"""Writes tables as markdown, CSV, LaTeX and HTML."""

import csv as csv_lib
import html as html_lib
import io
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bnnjax import errors
from bnnjax.report import latex as latex_lib
from bnnjax.report import markdown as markdown_lib
from bnnjax.report.row import Row

if TYPE_CHECKING:
  from bnnjax.report.table import Section, Table


class Column(NamedTuple):
  """A column of the tables for people.

  Attributes:
    title: its heading.
    text: a row's cell.
    legend: what it means; empty if the heading says all.
  """

  title: str
  text: Callable[[Row], str]
  legend: str = ""


MOST_ROWS = 500  # of a task, in a table for people
CSV = (
  "task", "metric", "mean", "spread", "n", "groups", "baseline", "difference",
  "low", "high", "test_error", "bits", "ace", "bops", "bytes", "bpw",
  "energy_uj", "cpu_seconds", "wall_seconds", "device",
)  # fmt: skip


def columns(section: "Section") -> list[Column]:
  """The columns of a task that are not empty in every row."""
  digits = 2 if section.metric.factor > 1 else 3

  def fixed(value: float | None) -> str:
    return "" if value is None else f"{value:.{digits}f}"

  def mean(row):
    spread = "" if row.spread is None else f" ± {fixed(row.spread)}"
    return f"{fixed(row.mean)}{spread}"

  def difference(row):
    found = row.difference
    if found is None:
      return ""
    if found.low is None:
      return f"{found.effect:+.{digits}f}"
    low, high = (f"{v:+.{digits}f}" for v in (found.low, found.high))
    return f"{found.effect:+.{digits}f} [{low}, {high}]"

  return [
    column
    for column in (
      Column(
        section.metric.label,
        mean,
        "mean ± standard deviation over n seeds",
      ),
      Column("n", lambda row: str(row.n)),
      Column(
        "groups",
        lambda row: row.letters,
        "rows that share a letter do not differ: the interval of their"
        " difference contains 0",
      ),
      Column(
        f"difference to {section.baseline}",
        difference,
        "difference of means, with Tukey-Kramer intervals: all of a table hold"
        " together with 95 %",
      ),
      Column(
        "test s.e.",
        lambda row: fixed(row.test_error),
        "standard error that the number of test examples leaves; all runs share"
        " the examples, so the spread does not show it",
      ),
      Column(
        "bits",
        lambda row: row.bits,
        "widths of weights and activations in most multiply-accumulates",
      ),
      *_costs(),
      _seconds("CPU s", "cpu_seconds"),
      _seconds("wall s", "wall_seconds"),
      Column("device", lambda row: row.devices),
    )
    if any(map(column.text, section.rows))
  ]


def _costs() -> Iterable[Column]:
  def shown(name: str, form: str) -> Callable[[Row], str]:
    def text(row: Row) -> str:
      value = row.costs[name]
      return "" if value is None else format(value, form)

    return text

  yield Column(
    "ACE",
    shown("ace", ",.0f"),
    "multiply-accumulates of one example x weight bits x activation bits, a"
    " float counted as 16",
  )
  yield Column(
    "BOPs", shown("bops", ",.0f"), "1x1-bit multiply-accumulates of one example"
  )
  yield Column(
    "bytes",
    shown("bytes", ",.0f"),
    "all that the deployed network stores; scales, norms and embeddings too",
  )
  yield Column("bpw", shown("bpw", ".2f"), "stored bits per weight")
  yield Column(
    "energy, uJ",
    shown("energy", ".4g"),
    "of the multiply-accumulates of one example, at 45 nm",
  )


def _seconds(title: str, name: str) -> Column:
  def text(row: Row) -> str:
    value = row.seconds[name]
    return "" if value is None else f"{value:,.{0 if value >= 10 else 1}f}"

  return Column(title, text, "median over runs, training and evaluation")


def _grid(
  table: "Table", section: "Section"
) -> tuple[list[str], list[list[str]]]:
  """Headings and cells."""
  shown = columns(section)
  head = [*table.head, *(c.title for c in shown)]
  rows = section.rows[:MOST_ROWS]
  return head, [[*row.values, *(c.text(row) for c in shown)] for row in rows]


def _notes(section: "Section") -> list[str]:
  more = len(section.rows) - MOST_ROWS
  if more <= 0:
    return list(section.notes)
  return [
    f"{more:,} more rows, after these, are not shown: CSV has"
    " them; or filter the runs, or group them by other fields.",
    *section.notes,
  ]


def _legends(table: "Table") -> list[str]:
  """What the columns mean, each once."""
  lines = {}
  for section in table.sections:
    for column in columns(section):
      title = column.title.partition(" to ")[0]  # baselines have other names
      if column.legend:
        lines[f"{title}: {column.legend}."] = None
  return list(lines)


def markdown(table: "Table") -> str:
  """A heading, a table and notes for each task."""
  out, keys = [], len(table.head)
  for section in table.sections:
    head, rows = _grid(table, section)
    cells = [
      (
        *map(markdown_lib.code, row[:keys]),
        *map(markdown_lib.plain, row[keys:]),
      )
      for row in rows
    ]
    text = markdown_lib.table(list(map(markdown_lib.plain, head)), cells)
    out.append(f"**{markdown_lib.plain(section.task)}**\n\n{text}")
    out.append(_list(_notes(section)))
  return "\n".join(filter(None, [*out, _list(_legends(table))]))


def _list(lines: Sequence[str]) -> str:
  return "".join(f"- {markdown_lib.plain(line)}\n" for line in lines)


def csv(table: "Table") -> str:
  """Plain numbers in the unit of the metric, a line for each row."""
  out = io.StringIO()
  writer = csv_lib.writer(out, lineterminator="\n")
  writer.writerow([CSV[0], *table.head, *CSV[1:]])
  for section in table.sections:
    for row in section.rows:
      found = row.difference
      compared = (found.effect, found.low, found.high) if found else [None] * 3
      numbers = [
        section.metric.label, row.mean, row.spread, row.n, row.letters,
        section.baseline, *compared, row.test_error, row.bits,
        *row.costs.values(), *row.seconds.values(), row.devices,
      ]  # fmt: skip
      writer.writerow([section.task, *row.values, *map(_number, numbers)])
  return out.getvalue()


def _number(value: object) -> object:
  return round(value, 6) if isinstance(value, float) else value


def latex(table: "Table") -> str:
  """A `tabular` for each task, for the package booktabs."""
  out, keys = [], len(table.head)
  for section in table.sections:
    head, rows = _grid(table, section)
    aligned = "l" * keys + "r" * (len(head) - keys)
    comments = [section.task, *_notes(section)]
    out.append(latex_lib.tabular(head, rows, aligned, comments))
  return "\n".join([*out, latex_lib.comment(_legends(table))])


def html(table: "Table") -> str:
  """For notebooks: a table and its notes for each task."""
  out = []
  for section in table.sections:
    head, cells = _grid(table, section)
    out.append(f"<table><caption>{_html(section.task)}</caption>")
    out.append(f"<thead>{_html_line('th', head)}</thead><tbody>")
    out += [_html_line("td", row) for row in cells]
    out.append("</tbody></table>")
    out.append(html_list(_notes(section)))
  return "\n".join([*out, html_list(_legends(table))])


def html_list(lines: Sequence[str]) -> str:
  """Lines of text as an HTML list."""
  return f"<ul>{''.join(f'<li>{_html(line)}</li>' for line in lines)}</ul>"


def _html(text: str) -> str:
  return html_lib.escape(errors.one_paragraph(text))


def _html_line(tag: str, cells: Sequence[str]) -> str:
  inner = "".join(f"<{tag}>{_html(cell)}</{tag}>" for cell in cells)
  return f"<tr>{inner}</tr>"
