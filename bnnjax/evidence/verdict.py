"""Whether the records show a claim: effect, interval, verdict."""

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from bnnjax.errors import UserError
from bnnjax.evidence.experiment import AtEqualCost, Claim, Row
from bnnjax.evidence.results import Results
from bnnjax.report import axes, equal_cost, fields
from bnnjax.report import row as row_lib
from bnnjax.report import statistics as fits

SHOWN, REFUTED, NOT_SHOWN = "shown", "refuted", "not shown"
NOT_RUN = "not run"


@dataclasses.dataclass(frozen=True)
class Verdict:
  """What the records say about a claim.

  Attributes:
    claim: the claim.
    better: the row that stands for it, which the claim may leave open (`*`).
    effect: mean of `better` minus mean of `worse`, in percentage points where
      the metric is a share; of logarithms in a claim about ratios.
    low, high: simultaneous 95 % interval of the effect over the low-bit rows of
      the group and those that the claim names (Tukey-Kramer); at equal cost, and
      for a row that varies far more than others, Student's for paired seeds.
    seeds: number of runs of each row.
    word: `shown` if the interval lies above 0, `refuted` if it lies below,
      else `not shown`; `not run` if a row lacks seeds.
  """

  claim: Claim | AtEqualCost
  better: str
  effect: float | None
  low: float | None
  high: float | None
  seeds: int
  word: str

  @property
  def unit(self) -> str:
    """Of the effect, with a space before it; empty if it has none."""
    return " points" if fields.metric(self.claim.metric).factor > 1 else ""

  def __str__(self):
    if self.word == NOT_RUN:
      return NOT_RUN
    if isinstance(self.claim, Claim) and self.claim.log:
      effect, low, high = map(math.exp, (self.effect, self.low, self.high))
      return f"x {effect:.3g} [{low:.3g}, {high:.3g}]"
    return show(self.effect, self.low, self.high, self.unit)


def show(effect: float, low: float, high: float, unit: str = "") -> str:
  """An effect with its interval, e.g. `+0.5 points [-0.2, +1.2]`."""
  return f"{effect:+.3g}{unit} [{low:+.3g}, {high:+.3g}]"


def of_all(
  results: Results, claims: Iterable[Claim | AtEqualCost]
) -> list[Verdict]:
  """The verdict of each of some comparisons of an experiment."""
  return [
    (at_equal_cost if isinstance(claim, AtEqualCost) else of_claim)(
      results, claim
    )
    for claim in claims
  ]


def overall(verdicts: Sequence[Verdict]) -> str:
  """The verdict on a claim of several parts.

  `shown` if every part is, `refuted` if one is, `not run` if one is not run,
  else `not shown`.
  """
  words = [found.word for found in verdicts]
  if REFUTED in words:
    return REFUTED
  if NOT_RUN in words:
    return NOT_RUN
  return SHOWN if set(words) == {SHOWN} else NOT_SHOWN


def parts(verdicts: Sequence[Verdict]) -> str:
  """How many parts of a claim have which verdict; empty if it has one part."""
  if len(verdicts) < 2:
    return ""
  words = [found.word for found in verdicts]
  kinds = (SHOWN, NOT_SHOWN, REFUTED, NOT_RUN)
  return ", ".join(f"{words.count(k)} {k}" for k in kinds if k in words)


def at_equal_cost(results: Results, claim: AtEqualCost) -> Verdict:
  """The verdict of a claim about equal cost.

  The effect of a seed is the mean gap over the rows of `worse` whose cost lies
  within that of `better`.

  Raises:
    UserError: there is no such row, or no interval, or costs are lacking or
      follow different definitions.
  """
  curves = _curves(results, claim)
  if curves is None:
    return Verdict(claim, "", None, None, None, 0, NOT_RUN)
  better, worse = curves
  gaps: dict[int, list[float]] = {}
  for name in worse.widths:
    for seed, value in (better.at(worse.cost[name]) or {}).items():
      gaps.setdefault(seed, []).append(value - worse.accuracy[name][seed])
  if not gaps:
    raise UserError(
      f"The claim {claim.text!r} compares networks of different costs: those of"
      f" {claim.better} have {sorted(better.cost.values())}, the others"
      f" {sorted(worse.cost.values())}."
    )
  means = [statistics.fmean(gap) for gap in gaps.values()]
  if max(means) - min(means) <= fits.ROUNDING * max(map(abs, means)):
    raise UserError(
      f"The claim {claim.text!r} has no interval: its effect is the same for all"
      " seeds, so their spread tells nothing."
    )
  effect, low, high = equal_cost.paired(means)
  return Verdict(claim, "", effect, low, high, len(means), _word(low, high))


def gaps(
  results: Results, claim: AtEqualCost
) -> list[tuple[str, equal_cost.Gap]]:
  """What `better` wins at the cost of each row of `worse`, the cheapest first.

  The intervals hold for all these rows together (Bonferroni); there is no gap
  outside of the costs of `better`, and none at all before every row has its
  seeds.
  """
  curves = _curves(results, claim)
  if curves is None:
    return []
  better, worse = curves
  inside = sum(better.at(cost) is not None for cost in worse.cost.values())
  level = 1 - (1 - equal_cost.LEVEL) / max(inside, 1)
  found = equal_cost.gap_at_equal_cost(better, worse, level)
  return list(zip(worse.widths, found))


def _curves(
  results: Results, claim: AtEqualCost
) -> tuple[equal_cost.Curve, equal_cost.Curve] | None:
  """Both sides of a claim; `None` before every row has its seeds.

  Raises:
    UserError: costs are lacking or follow different definitions.
  """
  rows = [results.experiment.row(name) for name in claim.names]
  if not all(map(results.is_shown, rows)):
    return None
  if claim.cost in axes.AXES:
    runs = [run for row in rows for run in results.runs(row)]
    axes.check_definitions(runs, axes.axis(claim.cost))
  better, worse = (
    _curve(results, names, claim) for names in (claim.better, claim.worse)
  )
  return better, worse


def _curve(
  results: Results, names: Sequence[str], claim: AtEqualCost
) -> equal_cost.Curve:
  rows = [results.experiment.row(name) for name in names]
  return equal_cost.Curve(
    {row.name: _by_seed(results, row, claim.metric) for row in rows},
    {row.name: _cost(results, row, claim.cost) for row in rows},
  )


def _cost(results: Results, row: Row, name: str) -> float:
  """The cost of all runs of a row.

  Raises:
    UserError: a run has none, or another one.
  """
  found = {fields.number(r, f"cost.{name}") for r in results.runs(row)}
  if len(found) > 1 or None in found:
    raise UserError(
      f"All runs of row {row.name!r} must have the same cost {name!r}: got"
      f" {', '.join(sorted(map(fields.show, found)))}."
    )
  return found.pop()


def _word(low: float, high: float) -> str:
  return SHOWN if low > 0 else REFUTED if high < 0 else NOT_SHOWN


def of_claim(results: Results, claim: Claim) -> Verdict:
  """The verdict of a claim about two rows."""
  rows = results.experiment.groups[results.experiment.row(claim.worse).group]
  shown = [row for row in rows if results.is_shown(row)]
  lacking = Verdict(claim, claim.better, None, None, None, 0, NOT_RUN)
  names = {row.name for row in shown}
  if claim.worse not in names or (
    claim.better != "*" and claim.better not in names
  ):
    return lacking
  pooled, apart = _pooled(results, shown, claim.metric, claim.log)
  values = pooled | {
    row.name: _by_seed(results, row, claim.metric, claim.log)
    for row in shown
    if row.name in claim.names
  }
  fit = fits.two_way(values)
  better = claim.better
  if better == "*":
    left_out = {*claim.besides, claim.worse}
    candidates = [name for name in pooled if name not in left_out]
    if not candidates:
      return lacking
    better = max(candidates, key=fit.means.get)
  if {better, claim.worse} & set(apart):
    one, other = values[better], values[claim.worse]
    interval = equal_cost.paired([one[s] - other[s] for s in one])
  else:
    interval = fit.difference(better, claim.worse)
  if interval is None:
    raise UserError(
      f"The claim {claim.text!r} has no interval:"
      f" {fit.reason or 'no seeds in common'}."
    )
  _, low, high = interval
  word = _word(low, high)
  return Verdict(claim, better, *interval, results.experiment.seeds, word)


def letters(results: Results, rows: Sequence[Row]) -> Mapping[str, str]:
  """Letters of the rows of a group: rows that share one do not differ."""
  pooled, _ = _pooled(results, rows, results.metric)
  return fits.two_way(pooled).groups() if pooled else {}


def outlying(
  results: Results, rows: Sequence[Row], metric: str
) -> tuple[str, ...]:
  """Names of the low-bit rows whose spread is not pooled: it is far larger."""
  _, apart = _pooled(results, rows, metric)
  return apart


def _pooled(
  results: Results, rows: Sequence[Row], metric: str, log: bool = False
) -> tuple[dict[str, dict[int, float]], tuple[str, ...]]:
  """Values of the rows whose spread counts for the others, by row and seed.

  Float networks vary less than low-bit ones, and lack some metrics; networks
  that fail to train vary far more: their names are the second result.
  """
  values = _low_bit(results, rows, metric, log)
  apart = fits.outlying(values)
  return {row: values[row] for row in values if row not in apart}, apart


def _low_bit(
  results: Results, rows: Sequence[Row], metric: str, log: bool
) -> dict[str, dict[int, float]]:
  """Values of the low-bit rows that have all seeds and the metric."""
  found = {}
  for row in rows:
    runs = results.runs(row)
    lacks = any(metric not in record["metrics"] for record in runs)
    if (
      not results.is_shown(row) or lacks or fields.bits(runs[0]) == fields.FLOAT
    ):
      continue
    found[row.name] = _by_seed(results, row, metric, log)
  return found


def _logarithms(values: Mapping[int, float]) -> dict[int, float]:
  """Natural logarithms by seed.

  Raises:
    UserError: a value is not positive.
  """
  if min(values.values()) <= 0:
    raise UserError(
      "A claim about ratios needs positive values, got"
      f" {', '.join(map(fields.show, values.values()))}."
    )
  return {seed: math.log(value) for seed, value in values.items()}


def _by_seed(
  results: Results, row: Row, metric: str, log: bool = False
) -> dict[int, float]:
  found = row_lib.by_seed(results.runs(row), fields.metric(metric))
  return _logarithms(found) if log else found
