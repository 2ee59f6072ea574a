"""A row of a table: what some runs have in common, over their seeds."""

import dataclasses
import statistics as python_statistics
from collections.abc import Mapping, Sequence

from bnnjax.errors import UserError
from bnnjax.report import axes, fields, grouping, statistics

COSTS = {k: axis for k, axis in axes.AXES.items() if k != "cpu_seconds"}
SECONDS = ("cpu_seconds", "wall_seconds")


@dataclasses.dataclass(frozen=True)
class Row:
  """Runs that differ only in the seed, or in what the grouping allows.

  Attributes:
    label: of the row.
    values: labels of the fields that the rows are grouped by.
    runs: the records.
    n: number of seeds.
    mean: of the metric over seeds, in its unit.
    spread: standard deviation over seeds; `None` for one seed.
    test_error: standard error that the test examples leave; `None` if their
      number is not known, or the metric is no accuracy.
    bits: the widths with the most multiply-accumulates.
    costs: by the names of `COSTS`; `None` where a run has none, or runs differ.
    seconds: median `cpu_seconds` and `wall_seconds`; `None` if a run has none.
    devices: what the runs used.
    letters: rows that share one do not differ; empty without intervals.
    difference: to the baseline; `None` for it, or without one.
  """

  label: str
  values: tuple[str, ...]
  runs: Sequence[fields.Record]
  n: int
  mean: float
  spread: float | None
  test_error: float | None
  bits: str
  costs: Mapping[str, float | None]
  seconds: Mapping[str, float | None]
  devices: str
  letters: str = ""
  difference: "Difference | None" = None


@dataclasses.dataclass(frozen=True)
class Difference:
  """To the baseline; `low` and `high` are `None` without an interval."""

  effect: float
  low: float | None
  high: float | None


def cost_values(
  runs: Sequence[fields.Record], axis: axes.Axis
) -> set[float | None]:
  """The different costs of runs; `None` for those without."""
  return {axis.read(run) for run in grouping.distinct(runs, "cost")}


def make(
  label: str,
  runs: Sequence[fields.Record],
  paths: Sequence[str],
  by_seed: Mapping[int, float],
  metric: fields.Metric,
) -> Row:
  """A row without what the other rows decide."""
  found = list(by_seed.values())
  mean = python_statistics.fmean(found)
  costs = {}
  for name, axis in COSTS.items():
    held = cost_values(runs, axis)
    value = held.pop() if len(held) == 1 else None
    whole = value is not None and value.is_integer()
    costs[name] = int(value) if whole else value
  seconds = {}
  for name in SECONDS:
    held = [fields.finite(run.get(name)) for run in runs]
    seconds[name] = None if None in held else python_statistics.median(held)
  sizes = {_test_examples(run) for run in runs}
  size = sizes.pop() if len(sizes) == 1 else None
  error = None
  if size and metric.name.endswith("accuracy") and 0 <= mean <= metric.factor:
    share = mean / metric.factor
    error = metric.factor * statistics.test_error(share, size)
  bits = {fields.bits(run) or "" for run in grouping.distinct(runs, "cost")}
  return Row(
    label=label,
    values=tuple(fields.show(fields.value(runs[0], p)) for p in paths)
    or (label,),
    runs=tuple(runs),
    n=len(found),
    mean=mean,
    spread=python_statistics.stdev(found) if len(found) > 1 else None,
    test_error=error,
    bits=" / ".join(sorted(bits)),
    costs=costs,
    seconds=seconds,
    devices=", ".join(sorted({run["device"] for run in runs})),
  )


def examples(run: fields.Record) -> int | None:
  """Number of evaluation examples; `None` if the record does not say."""
  found = fields.finite((run.get("examples") or {}).get("eval"))
  return int(found) if found and found >= 1 and found == int(found) else None


def _test_examples(run: fields.Record) -> int | None:
  """Examples that an accuracy is a mean over; older records do not say."""
  task = fields.value(run, "task.name")
  return examples(run) if task == "classification" else None


def difference(
  label: str,
  baseline: str | None,
  fit: statistics.Fit | None,
  values: Mapping[str, Mapping[int, float]],
) -> Difference | None:
  """A row's difference to the baseline; without an interval if there is none."""
  if baseline is None or label == baseline:
    return None
  interval = fit.difference(label, baseline) if fit else None
  if interval is not None:
    return Difference(*interval)
  mean = python_statistics.fmean
  effect = mean(values[label].values()) - mean(values[baseline].values())
  return Difference(effect, None, None)


def by_seed(
  runs: Sequence[fields.Record], metric: fields.Metric
) -> dict[int, float]:
  """The metric by seed; the mean of several runs of one seed.

  Raises:
    UserError: a run lacks the metric.
  """
  found: dict[int, list[float]] = {}
  for run in runs:
    value = metric.of(run)
    if value is None:
      raise UserError(
        f"The run {run['name']!r} (id {run['id']!r}) has no metric"
        f" {metric.name!r}. It has: {', '.join(run['metrics']) or '(none)'}."
        " Filter the runs, or name another metric."
      )
    found.setdefault(run["seed"], []).append(value)
  return {seed: python_statistics.fmean(v) for seed, v in found.items()}
