"""What a Pareto figure shows, for `figures.figure` to draw."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from bnnjax.errors import UserError
from bnnjax.report import comparability, fields, pareto, published
from bnnjax.report.figures import figure
from bnnjax.report.figures.panel import Mark, Panel

TOP1 = "top-1 accuracy, %"


def plot(
  found: "pareto.Pareto",
  path: os.PathLike | str | None = None,
  with_published: bool = False,
) -> Any:
  """Draws the panels, and writes them if there is a path.

  Args:
    found: the fronts.
    path: ends in `.svg`, `.pdf` or `.png`.
    with_published: also draw `published_panel`.

  Returns:
    The `matplotlib.figure.Figure`.

  Raises:
    UserError: matplotlib is missing, the file has another ending, or there is
      nothing to draw.
  """
  if path:
    figure.format_of(path)  # raises before anything is drawn
  drawn = figure.draw(panels(found, with_published), notes(found))
  if path:
    figure.save(drawn, path)
  return drawn


def panels(found: "pareto.Pareto", with_published: bool = False) -> list[Panel]:
  """The panels to draw: of tasks with points, and of published figures.

  Raises:
    UserError: published points on another axis than ACE.
  """
  shown = [_panel(p, found) for p in found.panels if p.points]
  # A method looks the same in every panel.
  look = figure.styles(
    [m for panel in shown for m in panel.marks],
    {series for panel in found.panels for series in _best(panel)},
  )
  shown = [_with_look(panel, look) for panel in shown]
  if with_published:
    if found.axis.name != "ace":
      raise UserError(
        "Published points are shown against ACE: leave out --axis, or"
        f" --published; got the axis {found.axis.name!r}."
      )
    shown.append(published_panel())
  return shown


def _best(panel: "pareto.TaskPanel") -> list[str]:
  """The best series of each pair of widths, e.g. the float twin."""
  sign = 1 if panel.metric.higher_is_better else -1
  worst_first = sorted(panel.points, key=lambda p: (sign * p.y, p.label))
  return list({p.bits: p.series for p in worst_first}.values())


def notes(found: "pareto.Pareto") -> list[str]:
  """What the whole figure says below its panels."""
  points = [p for panel in found.panels for p in panel.points]
  said = []
  if any(p.spread is not None for p in points):
    said.append("Bars: standard deviation over seeds.")
  if any(p.state == pareto.DOMINATED for p in points):
    by_means = [
      panel.by_means for panel in found.panels if len(panel.points) > 1
    ]
    rule = "beyond the simultaneous 95 % interval of the difference"
    said.append(
      "Open: a point that costs no more is better"
      f"{'' if all(by_means) else f' {rule}'}."
    )
  lost = [
    f"No panel of {panel.task} {line}"
    for panel in found.panels
    if not panel.points
    for line in _left_out(panel)
  ]
  return [*([" ".join(said)] if said else []), *lost]


def _panel(panel: "pareto.TaskPanel", found: "pareto.Pareto") -> Panel:
  """A task's panel; the labels of the front come first."""
  order = {pareto.FRONT: 0, pareto.OPEN: 1, pareto.DOMINATED: 2}
  points = sorted(panel.points, key=lambda p: (order[p.state], p.x, p.label))
  marks = [
    Mark(
      p.x,
      p.y,
      p.series,
      p.series,
      bar=p.spread,
      hollow=p.state == pareto.DOMINATED,
      line=p.state == pareto.FRONT,
    )
    for p in points
  ]
  splits = {
    fields.show(fields.value(r, "data.eval_split"))
    for p in points
    for r in p.runs
  }
  metric = panel.metric.label
  return Panel(
    panel.task,
    found.axis.title,
    f"test {metric}" if splits == {"test"} else metric,
    marks,
    [*(f"Not drawn {line}" for line in _left_out(panel)), *panel.notes],
    higher=bool(panel.metric.higher_is_better),
  )


def _with_look(panel: Panel, look: Mapping[str, tuple[str, str]]) -> Panel:
  """The panel with grey points unnamed, and counted below it."""
  grey = {m.series for m in panel.marks if look[m.series][0] == figure.GREY}
  notes = [f"Grey: {len(grey)} other series, see the table."] if grey else []
  return dataclasses.replace(
    panel,
    marks=[
      dataclasses.replace(m, name="" if m.series in grey else m.name)
      for m in panel.marks
    ],
    notes=[*panel.notes, *notes],
    look=look,
  )


def _left_out(panel: "pareto.TaskPanel") -> list[str]:
  """A note for each reason why points are not drawn."""
  return [
    f"({reason}): {comparability.some(labels)}."
    for reason, labels in panel.reasons.items()
  ]


def published_panel(points: Sequence[published.Point] | None = None) -> Panel:
  """ImageNet accuracies of publications against ACE, on axes of their own.

  Colour and shape say how the ACE is known. There is no interval: publications
  give one run each, and their recipes differ.
  """
  points = published.top1_against_ace() if points is None else points
  line = {id(p) for p in _front(points)}
  origins = (published.PRINTED, published.FROM_MACS, published.COUNTED)
  marks = [
    Mark(p.ace, p.top1, p.origin, p.model, line=id(p) in line)
    for p in sorted(
      points, key=lambda p: (id(p) not in line, origins.index(p.origin), p.ace)
    )
  ]
  look = figure.styles(marks)
  signs = {"o": "●", "s": "■", "^": "▲"}
  known = "; ".join(f"{signs[look[o][1]]} {o}" for o in origins if o in look)
  return Panel(
    "ImageNet-1k, as published (other data and recipes)",
    pareto.AXES["ace"].title,
    TOP1,
    marks,
    [f"{known}. One run each, as published."],
  )


def _front(points: Sequence[published.Point]) -> list[published.Point]:
  """Those that no other published point beats."""
  found: list[published.Point] = []
  for point in sorted(points, key=lambda p: (p.ace, -p.top1)):
    if not found or point.top1 > found[-1].top1:
      found.append(point)
  return found
