"""What one precision wins over another at equal cost."""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bnnjax.errors import UserError

LEVEL = 0.95


@dataclasses.dataclass(frozen=True)
class Curve:
  """Accuracy of a network at one precision, at several widths.

  Attributes:
    accuracy: width -> seed -> accuracy, or another metric.
    cost: width -> cost, e.g. ACE.
  """

  accuracy: Mapping[Any, Mapping[int, float]]
  cost: Mapping[Any, float]

  def __post_init__(self):
    if self.accuracy.keys() != self.cost.keys():
      raise UserError(
        "A curve needs accuracy and cost at the same widths, got accuracy at"
        f" {list(self.accuracy)} and cost at {list(self.cost)}."
      )
    for width, cost in self.cost.items():
      if not (math.isfinite(cost) and cost > 0):
        raise UserError(
          f"The cost at width {width!r} must be positive, since curves are"
          f" interpolated over its logarithm; got {cost!r}."
        )
      seeds = self.accuracy[width]
      if not seeds or not all(map(math.isfinite, seeds.values())):
        raise UserError(
          f"The accuracy at width {width!r} must be a finite number for every"
          f" seed, and one seed at least; got {dict(seeds)}."
        )
    if len(set(self.cost.values())) < len(self.cost):
      raise UserError(
        "Two widths of a curve have the same cost, so that its accuracy there"
        f" is ambiguous; got {dict(self.cost)}."
      )

  @property
  def widths(self) -> list[Any]:
    """The widths, the cheapest first."""
    return sorted(self.cost, key=self.cost.__getitem__)

  def at(self, cost: float) -> dict[int, float] | None:
    """Accuracy at a cost, for each seed that has both neighbouring widths.

    Linear in the logarithm of the cost; `None` outside of the curve's costs.
    """
    costs = [self.cost[w] for w in self.widths]
    if not costs or not costs[0] <= cost <= costs[-1]:
      return None
    right = next(i for i, c in enumerate(costs) if cost <= c)
    above = self.accuracy[self.widths[right]]
    if cost == costs[right]:
      return dict(above)
    below = self.accuracy[self.widths[right - 1]]
    low, high = math.log(costs[right - 1]), math.log(costs[right])
    part = (math.log(cost) - low) / (high - low)
    return {
      seed: (1 - part) * below[seed] + part * above[seed]
      for seed in below.keys() & above.keys()
    }


class Gap(NamedTuple):
  """A difference at one cost; see `gap_at_equal_cost`."""

  cost: float
  gap: float | None
  low: float | None
  high: float | None


def gap_at_equal_cost(
  curve: Curve, other: Curve, level: float = LEVEL
) -> list[Gap]:
  """What `curve` wins over `other` at the cost of each point of `other`.

  The accuracy of `curve` is interpolated (linear in the logarithm of the cost)
  for each seed, the accuracy of `other` at its own point and the same seed is
  subtracted, and the mean of these differences is the gap. The interval is that
  of Student's t for paired samples; it holds for each cost alone, not for all
  of them together.

  Args:
    curve: for instance the networks of 1 bit.
    other: for instance those of 4 bits.
    level: of the interval.

  Returns:
    A gap for every width of `other`, the cheapest first. Its `gap` is `None`
    outside of the costs of `curve`, or if the two have no seed in common there;
    `low` and `high` also with one common seed.
  """
  return [
    Gap(
      other.cost[width],
      *_paired(curve.at(other.cost[width]), other.accuracy[width], level),
    )
    for width in other.widths
  ]


def _paired(
  ours: Mapping[int, float] | None, theirs: Mapping[int, float], level: float
) -> tuple[float | None, float | None, float | None]:
  """Mean and interval of the differences between equal seeds."""
  seeds = sorted((ours or {}).keys() & theirs.keys())
  if not seeds:
    return None, None, None
  return paired([ours[s] - theirs[s] for s in seeds], level)


def paired(
  gaps: Sequence[float], level: float = LEVEL
) -> tuple[float, float | None, float | None]:
  """Mean of differences, and its interval by Student's t; none of a single one."""
  gap = statistics.fmean(gaps)
  if len(gaps) == 1:
    return gap, None, None
  from scipy import stats  # here, since it takes a second

  error = statistics.stdev(gaps) / math.sqrt(len(gaps))
  half = float(stats.t.ppf((1 + level) / 2, len(gaps) - 1)) * error
  return gap, gap - half, gap + half
