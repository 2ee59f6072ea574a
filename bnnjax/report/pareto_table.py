"""The points of a Pareto figure as text, CSV and LaTeX."""

import csv
import io
from collections.abc import Iterable, Sequence

from bnnjax import errors
from bnnjax.report import comparability, latex, pareto, published

COLUMNS = (
  "task", "runs", "network", "method", "bits", "n", "metric", "mean",
  "standard deviation", "cost", "value of the cost", "state", "dominated by",
  "source",
)  # fmt: skip
MOST = 20  # names of a line; the CSV has all
PUBLISHED = "ImageNet-1k, as published"


def to_csv(
  found: "pareto.Pareto", others: Sequence[published.Point] = ()
) -> str:
  """A line for each point; those that are not drawn say so as their state.

  Args:
    found: the fronts.
    others: published points.
  """
  out = io.StringIO()
  writer = csv.writer(out, lineterminator="\n")
  writer.writerow(COLUMNS)
  cost = found.axis.title
  for panel in found.panels:
    metric = panel.metric.label
    for p in panel.points:
      spread = "" if p.spread is None else repr(p.spread)
      writer.writerow(
        (
          panel.task, p.label, p.network, p.method, p.bits, p.n, metric,
          repr(p.y), spread, cost, f"{p.x:.15g}", p.state, p.beaten_by, "",
        )
      )  # fmt: skip
    for label, reason in panel.left_out:
      row = dict.fromkeys(COLUMNS, "")
      row |= {"task": panel.task, "runs": label, "metric": metric, "cost": cost}
      writer.writerow({**row, "state": f"not drawn: {reason}"}.values())
  for p in others:
    source = (
      f"{p.source} ({p.origin}; lines {_listed(p.lines)} of published.csv)"
    )
    writer.writerow(
      (
        PUBLISHED, p.model, p.model, "", "", 1, "top-1 accuracy, %",
        f"{p.top1:.15g}", "", cost, f"{p.ace:.15g}", "", "", source,
      )
    )  # fmt: skip
  return out.getvalue()


def to_latex(
  found: "pareto.Pareto", others: Sequence[published.Point] = ()
) -> str:
  """A `tabular` for each panel, with rules of the package booktabs."""
  tables = [latex.comment([r"\usepackage{booktabs}"])]
  for panel in found.panels:
    if panel.points:
      head = ("", "bits", "n", panel.metric.label, found.axis.label, "")
      rows = [_row(p) for p in panel.points]
      notes = [
        f"not drawn ({reason}): {comparability.some(labels, MOST)}"
        for reason, labels in panel.reasons.items()
      ]
      tables.append(_tabular(head, rows, [panel.task, *notes, *panel.notes]))
  if others:
    head = ("", "top-1 accuracy, %", "ACE", "ACE is", "source")
    rows = [
      (p.model, f"{p.top1:g}", f"{p.ace:.4g}", p.origin, p.source)
      for p in others
    ]
    tables.append(_tabular(head, rows, [PUBLISHED]))
  return "\n".join(tables)


def to_text(found: "pareto.Pareto") -> str:
  """The front of each panel for a terminal, and what is not drawn."""
  lines = []
  for panel in found.panels:
    lines.append(errors.one_paragraph(panel.task))
    if panel.points:
      head = ("front", "bits", "n", panel.metric.label, found.axis.label)
      rows = [head, *(_row(p, p.label)[:5] for p in panel.front)]
      widths = [max(map(len, column)) for column in zip(*rows)]
      for row in rows:
        cells = (c.ljust(w) for c, w in zip(row, widths))
        lines.append(f"  {'  '.join(cells)}".rstrip())
      states = [p.state for p in panel.points]
      lines.append(
        f"  {len(states)} points: {states.count(pareto.FRONT)} on the front,"
        f" {states.count(pareto.OPEN)} not separated from it,"
        f" {states.count(pareto.DOMINATED)} dominated"
      )
    for reason, labels in panel.reasons.items():
      named = errors.one_paragraph(comparability.some(labels, MOST))
      lines.append(f"  not drawn ({reason}): {named}")
    lines += [f"  {errors.one_paragraph(note)}" for note in panel.notes]
  return "\n".join(lines)


def _row(point: "pareto.Point", name: str = "") -> tuple[str, ...]:
  """Name, bits, n, metric, cost and state."""
  spread = "" if point.spread is None else f" ± {point.spread:.2f}"
  return (
    errors.one_paragraph(name or point.series),
    point.bits,
    str(point.n),
    f"{point.y:.2f}{spread}",
    f"{point.x:,.15g}" if float(point.x).is_integer() else f"{point.x:.4g}",
    point.state,
  )


def _listed(lines: Iterable[int]) -> str:
  return ", ".join(map(str, lines))


def _tabular(
  head: Sequence[str], rows: Iterable[Sequence[str]], comments: Iterable[str]
) -> str:
  return latex.tabular(head, rows, f"l{'r' * (len(head) - 2)}l", comments)
