import dataclasses
import math

import pytest

from bnnjax.errors import UserError
from bnnjax.evidence import verdict
from bnnjax.evidence.experiment import AtEqualCost, Claim
from tests.evidence.conftest import FINAL


def of_all(results):
  return verdict.of_all(results, results.experiment.claims)


def with_claims(results, *claims):
  experiment = dataclasses.replace(results.experiment, claims=claims)
  return dataclasses.replace(results, experiment=experiment)


def test_a_claim_is_shown_refuted_or_neither(make):
  # The squared residuals of row + seed of the three low-bit rows sum to 16 / 9 (in
  # points) with 4 degrees of freedom, so sigma = 2 / 3; the studentized range
  # q(3, 4) is 5.040 (tables), and the half-width is q sigma / sqrt(3).
  shown, best = of_all(make())
  assert shown.word == verdict.SHOWN
  assert shown.effect == pytest.approx(10.0)
  assert shown.high - shown.effect == pytest.approx(
    5.040 * math.sqrt(4 / 9 / 3), abs=1e-3
  )
  assert shown.effect - shown.low == pytest.approx(
    5.040 * math.sqrt(4 / 9 / 3), abs=1e-3
  )
  assert (best.better, best.word) == ("new, wide", verdict.REFUTED)
  assert best.effect == pytest.approx(-100 * (0.91 - 2.57 / 3))


def test_within_the_noise_nothing_is_shown(make):
  final = {
    "float": (0.90, 0.91, 0.92),
    "old": (0.70, 0.74, 0.72),
    "new": (0.71, 0.73, 0.73),
    "new, wide": (0.8, 0.83, 0.8),
  }
  (found, _) = of_all(make(final=final))
  assert found.word == verdict.NOT_SHOWN
  assert found.low < 0 < found.effect < found.high


def test_rows_without_seeds_are_not_run(make):
  found = of_all(make(rows=("float", "old")))
  assert [f.word for f in found] == [verdict.NOT_RUN, verdict.NOT_RUN]
  assert str(found[0]) == verdict.NOT_RUN


def test_rows_without_the_metric_are_left_out(make):
  results = make()
  for row in results.experiment.rows[1:]:
    for run, value in zip(results.runs(row), (1.0, 2.0, 3.5)):
      run["metrics"]["error"] = value * (2 if row.name == "new" else 1)
  claim = Claim("", "new", "old", "error")
  (found,) = verdict.of_all(results, [claim])
  assert found.effect == pytest.approx(6.5 / 3)
  assert found.unit == ""


def test_a_claim_about_ratios(make):
  results = make()
  for row in results.experiment.rows:
    for run, value in zip(results.runs(row), (1.0, 2.0, 4.0)):
      run["metrics"]["error"] = value * {"new": 8, "old": 2}.get(row.name, 1)
  results.runs(results.experiment.rows[3])[0]["metrics"]["error"] *= 1.1
  claim = Claim("", "new", "old", "error", log=True)
  (found,) = verdict.of_all(results, [claim])
  assert found.effect == pytest.approx(math.log(4))
  assert str(found).startswith("x 4 [3.")
  results.runs(results.experiment.rows[1])[0]["metrics"]["error"] = 0.0
  with pytest.raises(UserError, match="needs positive values, got 0, 4, 8"):
    verdict.of_all(results, [claim])


def test_a_metric_that_no_record_has(make):
  results = with_claims(make(), Claim("", "new", "old", "estimating_error"))
  with pytest.raises(UserError, match="no metric 'estimating_error'"):
    of_all(results)


def test_a_claim_of_several_parts(make):
  shown, refuted = of_all(make())
  none = dataclasses.replace(shown, word=verdict.NOT_SHOWN)
  lacking = dataclasses.replace(shown, word=verdict.NOT_RUN)
  for parts, word in (
    ([shown, shown], verdict.SHOWN),
    ([shown, none], verdict.NOT_SHOWN),
    ([shown, none, refuted], verdict.REFUTED),
    ([shown, lacking], verdict.NOT_RUN),
  ):
    assert verdict.overall(parts) == word
  assert verdict.parts([shown, none, shown]) == "2 shown, 1 not shown"
  assert verdict.parts([shown]) == ""


def test_at_equal_cost(make):
  """By hand: at cost 10, half way on the log axis between 1 and 100."""
  results = make()
  costs = {"old": 1, "new": 100, "new, wide": 10}
  for row in results.experiment.rows:
    for run in results.runs(row):
      run["cost"] = {**run["cost"], "ace": costs.get(row.name, 1000)}
  claim = AtEqualCost("", ("old", "new"), ("new, wide", "float"))
  (found,) = verdict.of_all(results, [claim])
  # Seeds: (70 + 80) / 2 - 85, (71 + 82) / 2 - 85, (73 + 82) / 2 - 87.
  assert found.effect == pytest.approx((-10 - 8.5 - 9.5) / 3)
  half = 4.302653 * math.sqrt(0.583333 / 3)  # t of 2 degrees of freedom
  assert found.high - found.effect == pytest.approx(half, abs=1e-4)
  assert found.word == verdict.REFUTED
  (name, gap), (far, none) = verdict.gaps(results, claim)
  assert (name, gap.cost, gap.gap) == ("new, wide", 10, found.effect)
  assert (gap.low, gap.high) == pytest.approx((found.low, found.high))
  assert (far, none.gap) == ("float", None)
  apart = AtEqualCost("", ("old", "new"), ("float",))
  with pytest.raises(UserError, match="networks of different costs"):
    verdict.of_all(results, [apart])


def test_intervals_network_by_network_hold_together(make):
  results = make()
  costs = {"old": 1, "new": 100, "new, wide": 10, "float": 20}
  for row in results.experiment.rows:
    for run in results.runs(row):
      run["cost"] = {**run["cost"], "ace": costs[row.name]}
  claim = AtEqualCost("", ("old", "new"), ("new, wide", "float"))
  (_, gap), _ = verdict.gaps(results, claim)
  half = 6.205347 * math.sqrt(0.583333 / 3)  # t at 1 - 0.025, 2 degrees
  assert gap.high - gap.gap == pytest.approx(half, abs=1e-4)
  assert verdict.gaps(make(rows=()), claim) == []


def test_a_row_that_varies_far_more_is_not_pooled(make):
  results = make(final={**FINAL, "new": (0.2, 0.5, 0.8)})
  rows = results.experiment.rows
  assert verdict.outlying(results, rows, "accuracy") == ("new",)
  assert set(verdict.letters(results, rows)) == {"old", "new, wide"}
  (found, star) = verdict.of_all(
    results,
    [Claim("", "new", "old"), Claim("", "*", "old", besides=("float",))],
  )
  # Differences -50, -21, 7: Student's for paired seeds.
  assert found.effect == pytest.approx(-64 / 3)
  half = 4.302653 * math.sqrt(812.3333 / 3)
  assert found.high - found.effect == pytest.approx(half, rel=1e-5)
  assert star.better == "new, wide"
  assert star.high - star.low < 5


def test_letters(make):
  results = make()
  found = verdict.letters(results, results.experiment.rows)
  assert found == {"new, wide": "a", "new": "b", "old": "c"}


def test_costs_that_cannot_be_compared(make):
  results = make()
  rows = [results.experiment.row(name) for name in ("old", "new")]
  claim = AtEqualCost("", ("old", "new"), ("new, wide", "float"))
  for name, ace in zip(("old", "new"), (500, 1500)):
    for run in results.runs(results.experiment.row(name)):
      run["cost"] = run["cost"] | {"ace": ace}
  run = results.runs(rows[0])[1]
  run["cost"] = run["cost"] | {"definitions": {"ACE": "another"}}
  with pytest.raises(UserError, match="different definitions"):
    verdict.of_all(results, [claim])
  run["cost"] = run["cost"] | {"definitions": 1, "ace": "many"}
  with pytest.raises(UserError, match="same cost 'ace': got 500, not recorded"):
    verdict.of_all(results, [claim])


def test_no_interval_without_a_spread(make):
  final = {name: (0.75,) * 3 for name in ("float", "old", "new", "new, wide")}
  results = make(final=final)
  for name, ace in zip(("old", "new"), (500, 1500)):
    for run in results.runs(results.experiment.row(name)):
      run["cost"] = run["cost"] | {"ace": ace}
  claim = AtEqualCost("", ("old", "new"), ("float",))
  with pytest.raises(UserError, match="the same for all seeds"):
    verdict.of_all(results, [claim])
