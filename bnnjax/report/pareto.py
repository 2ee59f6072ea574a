"""Accuracy against cost: points, Pareto fronts, and which points are beaten.

A point is a group of runs that differ only in the seed. Points of one task
share a panel. In it:

- the *front*, drawn as a step line, holds the points that no other point beats
  in the means: none costs no more and is at least as good, and cheaper or
  better;
- a point is *dominated* if another one costs no more and is better beyond the
  interval of their difference: the Tukey interval of the model method + seed
  (`bnnjax.report.statistics`), over all points of the panel. Where there is no
  interval, as with one seed each, the means decide, and the panel says so;
- any other point is *not separated* from the front: these seeds do not tell.

A float twin is a point at its own cost. A point without a positive cost has no
place on a logarithmic axis and is listed in `left_out`: a float network has no
BOPs, which does not make it the cheapest.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bnnjax.errors import UserError
from bnnjax.report import axes, comparability, fields, grouping, statistics
from bnnjax.report import points as points_lib
from bnnjax.report.axes import AXES
from bnnjax.report.points import Point

__all__ = ["AXES", "Pareto", "Point", "TaskPanel", "dominated", "front", "make"]

FRONT, DOMINATED, OPEN = "front", "dominated", "not separated"


@dataclasses.dataclass(frozen=True)
class TaskPanel:
  """The points of one task.

  Attributes:
    task: data, splits and input side, as `fields.task` says them.
    metric: of the vertical axis.
    points: the cheapest first.
    left_out: label of points that are not drawn, and why.
    notes: what the reader should know.
    by_means: whether the means alone decide what is dominated.
  """

  task: str
  metric: fields.Metric
  points: Sequence[Point]
  left_out: Sequence[tuple[str, str]] = ()
  notes: Sequence[str] = ()
  by_means: bool = False

  @property
  def front(self) -> list[Point]:
    """The points on the step line."""
    return [p for p in self.points if p.state == FRONT]

  @property
  def reasons(self) -> dict[str, list[str]]:
    """Why points are not drawn, with their labels."""
    found: dict[str, list[str]] = {}
    for label, reason in self.left_out:
      found.setdefault(reason, []).append(label)
    return found


@dataclasses.dataclass(frozen=True)
class Pareto:
  """Panels of points, see the module.

  Attributes:
    axis: the cost.
    panels: one for each task.
  """

  axis: axes.Axis
  panels: Sequence[TaskPanel]

  def plot(
    self, path: os.PathLike | str | None = None, published: bool = False
  ) -> Any:
    """Draws the panels, see `bnnjax.report.figures.pareto`.

    Returns:
      The `matplotlib.figure.Figure`; it is also written if there is a path.
    """
    from bnnjax.report.figures import pareto as figures

    return figures.plot(self, path, published)


def make(
  runs: Iterable[fields.Record],
  x: str = "ace",
  y: str | None = None,
  by: str | None = None,
) -> Pareto:
  """Points and fronts of runs.

  Args:
    runs: records, or `Runs`.
    x: the cost, a key of `AXES`.
    y: the metric; by default the headline of each task.
    by: the field that names points in a figure, by default the method (with
      the network, if a panel has several).

  Raises:
    UserError: no records; an unknown axis, metric or field; a metric of which
      nobody knows whether more is better; costs of different definitions.
  """
  of = axes.axis(x)
  records = list(runs)
  if not records:
    raise UserError("There are no records to report.")
  if y is not None:
    fields.check_metric(records, y)
  if by is not None:
    fields.check(records, by)
  tasks: dict[str, dict[str, list[fields.Record]]] = {}
  groups = grouping.by_config(records, grouping.MOST)
  for label, group in groups.items():
    task = fields.task(group[0]) or "task not recorded"
    tasks.setdefault(task, {})[label] = group
  panels = [_panel(t, groups, of, y, by) for t, groups in tasks.items()]
  return Pareto(of, panels)


def _panel(
  task: str,
  groups: Mapping[str, list[fields.Record]],
  of: axes.Axis,
  y: str | None,
  by: str | None,
) -> TaskPanel:
  """The points of a task."""
  metric = _metric(groups, y)
  points, left_out, doubts = [], [], {}
  for label, group in groups.items():
    found = [r for r in group if metric.of(r) is not None]
    costly = [r for r in found if of.read(r) is not None]
    if not found:
      left_out.append((label, f"no {metric.name} on record"))
    elif not costly:
      left_out.append((label, f"no {of.label} on record"))
    elif not all(of.read(r) > 0 for r in costly):
      left_out.append(
        (
          label,
          f"{min(map(of.read, costly)):g} {of.label}, which has no logarithm",
        )
      )
    else:
      points.append(points_lib.make(label, costly, of, metric))
      for doubt in points_lib.doubts(group, costly, of):
        doubts.setdefault(doubt, []).append(label)
  drawn = [r for p in points for r in p.runs]
  notes = [
    f"{doubt}: {comparability.some(who)}." for doubt, who in doubts.items()
  ]
  notes += axes.check_definitions(drawn, of)
  notes += comparability.of_data(drawn) + points_lib.lengths(drawn)
  devices = sorted({r["device"] for r in drawn})
  if of.name == "cpu_seconds" and len(devices) > 1:
    notes.append(f"Times of different devices: {', '.join(devices)}.")
  points.sort(key=lambda p: (p.x, p.label))
  points, rule, by_means = _judge(points, metric)
  usual = points_lib.usual_network(points)
  if by is None and any(p.network != usual for p in points) and usual:
    rule = [*rule, f"Network: {usual}, unless a label names another."]
  points = points_lib.name_series(points, by)
  return TaskPanel(task, metric, points, left_out, [*notes, *rule], by_means)


def _metric(
  groups: Mapping[str, list[fields.Record]], y: str | None
) -> fields.Metric:
  """The metric of a panel."""
  records = [r for group in groups.values() for r in group]
  if y is not None:
    metric = fields.metric(y)
  else:
    heads = [r for r in records if set(fields.HEADLINES) & r["metrics"].keys()]
    metric = fields.metric_of(heads or records)
  if metric.higher_is_better is None:
    raise UserError(
      f"A Pareto front needs a metric of which more is better, or less;"
      f" {metric.name!r} says neither. Use accuracy, loss, perplexity or"
      " bits_per_char, or a name that ends like one of them."
    )
  return metric


def front(points: Iterable[Any], higher: bool = True) -> list[Any]:
  """The points that no other one beats in the means, the cheapest first.

  Args:
    points: anything with a cost `x` and a metric `y`.
    higher: whether a larger `y` is better.

  Returns:
    Those for which no other point costs no more and is at least as good, and
    cheaper or better. Equal points are all on the front, or none is.
  """
  sign = 1 if higher else -1
  found: list[Any] = []
  for point in sorted(points, key=lambda p: (p.x, -sign * p.y)):
    last = found[-1] if found else None
    if (
      last is None
      or sign * point.y > sign * last.y
      or (point.x, point.y) == (last.x, last.y)
    ):
      found.append(point)
  return found


def dominated(
  points: Sequence[Point],
  higher: bool,
  better: Callable[[Point, Point], bool],
) -> dict[str, str]:
  """Label of a dominated point -> label of one that dominates it.

  Args:
    points: of one task.
    higher: whether a larger `y` is better.
    better: whether the first point is better beyond the interval; it is asked
      only where the first one's mean is better.
  """
  sign = 1 if higher else -1
  found = {}
  best_first = sorted(points, key=lambda p: (-sign * p.y, p.x, p.label))
  for point in points:
    for other in best_first:
      if sign * other.y <= sign * point.y:
        break
      if other.x <= point.x and better(other, point):
        found[point.label] = other.label
        break
  return found


def _judge(
  points: Sequence[Point], metric: fields.Metric
) -> tuple[list[Point], list[str], bool]:
  """Gives each point its state; says how, and whether by the means alone."""
  higher, unlinked = bool(metric.higher_is_better), []
  if len(points) > statistics.MOST_METHODS:
    reason = f"there are more than {statistics.MOST_METHODS} points"
  elif points:
    fit = statistics.two_way({p.label: p.values for p in points})
    reason = fit.reason
  else:
    return [], [], True

  def better(one: Point, other: Point) -> bool:
    found = fit.difference(one.label, other.label)
    if found is None:
      unlinked.append((one, other))
      return True
    return found.low > 0 if higher else found.high < 0

  if reason:
    beaten = _by_means(points, higher)
  else:
    beaten = dominated(points, higher, better)
  line = {p.label for p in front(points, higher)}
  judged = []
  for point in points:
    state = DOMINATED if point.label in beaten else OPEN
    judged.append(
      dataclasses.replace(
        point,
        state=FRONT if point.label in line else state,
        beaten_by=beaten.get(point.label, ""),
      )
    )
  said = []
  if reason and len(points) > 1:
    said.append(f"Dominated by the means alone: {reason}.")
  elif unlinked:
    said.append("Points without common seeds are compared by their means.")
  if not reason and comparability.spreads_differ(
    [list(p.values.values()) for p in points]
  ):
    said.append(
      "Spreads differ (Bartlett's test, p < 0.05); the intervals pool them."
    )
  return judged, said, bool(reason)


def _by_means(points: Sequence[Point], higher: bool) -> dict[str, str]:
  """`dominated`, if every better mean counts."""
  sign = 1 if higher else -1
  best, found = None, {}
  for point in sorted(points, key=lambda p: (p.x, -sign * p.y)):
    if best is None or sign * point.y > sign * best.y:
      best = point
    elif point.y != best.y:
      found[point.label] = best.label
  return found
