"""Points of a Pareto figure: runs that differ only in the seed."""

import collections
import dataclasses
import statistics
from collections.abc import Mapping, Sequence

from bnnjax.report import axes, fields
from bnnjax.report import row as row_lib

NOT_RECORDED = "not recorded"


@dataclasses.dataclass(frozen=True)
class Point:
  """Runs that differ only in the seed.

  Attributes:
    label: name of the runs, without the seed.
    x: mean cost.
    y: mean of the metric, over seeds.
    values: the metric by seed; runs of one seed are averaged.
    series: what names it in a figure.
    network: model and variant.
    method: what binarizes weights and activations.
    bits: the widths of most MACs.
    runs: the records.
    state: `front`, `dominated` or `not separated`.
    beaten_by: label of the point that dominates it.
  """

  label: str
  x: float
  y: float
  values: Mapping[int, float]
  series: str = ""
  network: str = NOT_RECORDED
  method: str = NOT_RECORDED
  bits: str = NOT_RECORDED
  runs: Sequence[fields.Record] = ()
  state: str = ""
  beaten_by: str = ""

  @property
  def n(self) -> int:
    """Number of seeds."""
    return len(self.values)

  @property
  def spread(self) -> float | None:
    """Standard deviation over seeds; `None` for one."""
    if self.n < 2:
      return None
    return statistics.stdev(self.values.values())


def make(
  label: str,
  group: list[fields.Record],
  of: axes.Axis,
  metric: fields.Metric,
) -> Point:
  """The point of runs that have both figures."""
  by_seed = row_lib.by_seed(group, metric)
  values = {int(seed): by_seed[seed] for seed in sorted(by_seed)}
  return Point(
    label,
    statistics.fmean(map(of.read, group)),
    statistics.fmean(values.values()),
    values,
    network=fields.network(group[0]) or NOT_RECORDED,
    method=fields.method(group[0]) or NOT_RECORDED,
    bits=fields.bits(group[0]) or NOT_RECORDED,
    runs=tuple(group),
  )


def doubts(
  group: list[fields.Record],
  drawn: list[fields.Record],
  of: axes.Axis,
) -> list[str]:
  """What is odd about the runs of a point, in words that other points share.

  Args:
    group: all of its runs.
    drawn: those that have both figures.
    of: the cost.
  """
  found = []
  if len(drawn) < len(group):
    found.append("Some runs lack the cost or the metric")
  if len({r["seed"] for r in drawn}) < len(drawn):
    found.append("Several runs of one seed, averaged")
  if of.defined and len(set(map(of.read, drawn))) > 1:
    found.append(f"Runs that differ in {of.label}, averaged")
  return found


def lengths(records: Sequence[fields.Record]) -> list[str]:
  """A sentence if runs were trained for different lengths."""
  said = []
  for path in ("epochs", "steps"):
    found = {fields.number(record, path) for record in records} - {None}
    if len(found) > 1:
      shown = sorted(found)
      ends = f"{fields.show(shown[0])} to {fields.show(shown[-1])}"
      said.append(f"{path} from {ends}")
  return [f"Trained for different lengths: {', '.join(said)}."] if said else []


def usual_network(points: Sequence[Point]) -> str:
  """The network of more than half of the points; empty if there is none."""
  if not points:
    return ""
  counts = collections.Counter(p.network for p in points)
  ((network, count),) = counts.most_common(1)
  return network if 2 * count > len(points) else ""


def short(point: Point) -> str:
  """The method of a point, of a spec only the estimators.

  `"half_shift|fixed(value=1.0)"` is half_shift, and with 4 bits half_shift W4A4;
  `"dorefa_weight / dorefa_act"` is dorefa.
  """
  names = []
  for operand in point.method.split(" / "):
    text = operand.partition(";")[0].partition("|")[0].rpartition(">")[2]
    names.append(text.partition("(")[0].strip() or operand)
  own = zip(names, ("_weight", "_act"))
  shared = dict.fromkeys(name.removesuffix(role) for name, role in own)
  name = " / ".join(shared if len(shared) == 1 else dict.fromkeys(names))
  wide = point.bits not in ("w1a1", fields.FLOAT, NOT_RECORDED)
  return f"{name} {point.bits.upper()}" if wide else name


def name_series(points: list[Point], by: str | None) -> list[Point]:
  """Gives each point the name of its series in a figure.

  It is the method, after the network if that is not the usual one. Points of
  one method and one cost are different experiments, e.g. other teachers: what
  tells their names apart follows.
  """
  usual = usual_network(points)
  named = []
  for point in points:
    if by is not None:
      series = fields.show(fields.value(point.runs[0], by))
    elif point.method == NOT_RECORDED:
      series = point.label
    elif point.network == usual:
      series = short(point)
    else:
      series = f"{point.network}, {short(point)}"
    named.append(dataclasses.replace(point, series=series))
  alike: dict[tuple[str, float], list[Point]] = {}
  for point in named if by is None else ():
    alike.setdefault((point.series, point.x), []).append(point)
  rest = {}
  for group in alike.values():
    if len(group) > 1:
      rest |= dict(zip((p.label for p in group), _differing(group)))
  return [
    dataclasses.replace(p, series=f"{p.series}: {rest[p.label]}")
    if rest.get(p.label)
    else p
    for p in named
  ]


def _differing(points: Sequence[Point]) -> list[str]:
  """The parts of the labels that not all of them have."""
  parts = [p.label.split("-") for p in points]
  common = set.intersection(*map(set, parts))
  rest = [[q for q in p if q not in common] for p in parts]
  telling = [[q for q in p if not q.startswith("lr=")] for p in rest]
  if len(set(map(tuple, telling))) == len(telling):
    rest = telling  # each has chosen its learning rate
  return ["-".join(p) for p in rest]
