"""The fit of method + seed, its intervals and letters."""

import math

import numpy as np
import pytest
from scipy import stats

from bnnjax.errors import UserError
from bnnjax.report import statistics

# Yield of penicillin, four processes on five blends: Box, Hunter and Hunter
# (1978), Statistics for Experimenters, table 7.1. The book's analysis of
# variance: residual sum of squares 226 with 12 degrees of freedom.
PENICILLIN = {
  "A": (89, 84, 81, 87, 79),
  "B": (88, 77, 87, 92, 81),
  "C": (97, 92, 87, 89, 80),
  "D": (94, 79, 85, 84, 88),
}


def by_seed(table):
  return {m: dict(enumerate(v)) for m, v in table.items()}


def test_a_published_block_design():
  fit = statistics.two_way(by_seed(PENICILLIN))
  means = {"A": 84, "B": 85, "C": 89, "D": 86}
  assert fit.means == pytest.approx(means, rel=1e-12)
  assert fit.degrees == 12
  assert fit.variance == pytest.approx(226 / 12, rel=1e-12)
  found = fit.difference("C", "A")
  assert found.effect == pytest.approx(5)
  # q[0.95](4, 12) = 4.20 in printed tables.
  half = 4.20 * math.sqrt(226 / 12 / 5)
  assert found.high - found.effect == pytest.approx(half, rel=1e-3)
  assert fit.groups() == dict.fromkeys("ABCD", "a")


def test_two_methods_are_a_paired_t_test():
  one, other = [0.81, 0.84, 0.80, 0.86], [0.78, 0.83, 0.76, 0.80]
  fit = statistics.two_way(by_seed({"x": one, "y": other}))
  wanted = stats.ttest_rel(one, other).confidence_interval(0.95)
  found = fit.difference("x", "y")
  np.testing.assert_allclose(found[1:], wanted, rtol=1e-6)
  back = fit.difference("y", "x")
  np.testing.assert_allclose([back.low, back.high], [-found.high, -found.low])


def test_the_critical_value_is_that_of_scipys_one_way_test():
  groups = [[24.5, 23.5, 26.4], [28.4, 34.2, 29.5], [26.1, 28.3, 24.3]]
  low, high = (
    bound[0, 1] for bound in stats.tukey_hsd(*groups).confidence_interval(0.95)
  )
  mean_square = np.mean([np.var(g, ddof=1) for g in groups])
  q = (high - low) / 2 / math.sqrt(mean_square / 3)
  assert statistics.critical(3, 6) == pytest.approx(q, rel=1e-6)


def test_lacking_seeds_are_fitted_by_least_squares():
  values = {
    "a": {0: 5.0, 1: 7.0, 2: 6.5},
    "b": {0: 4.0, 2: 6.0},
    "c": {1: 9.0, 2: 7.5, 3: 9.5},
  }
  rows, y = [], []
  for i, by in enumerate(values.values()):
    for seed, value in by.items():
      rows.append([j == i for j in range(3)] + [seed == s for s in (1, 2, 3)])
      y.append(value)
  x = np.array(rows, float)  # three methods; three seeds against seed 0
  beta, (square,), rank, _ = np.linalg.lstsq(x, np.array(y), rcond=None)
  fit = statistics.two_way(values)
  assert (fit.degrees, rank) == (8 - 6, 6)
  assert fit.variance == pytest.approx(square / 2)
  average = beta[3:].sum() / 4  # of all seeds
  for i, name in enumerate("abc"):
    assert fit.means[name] == pytest.approx(beta[i] + average)
  contrast = np.array([1, 0, -1, 0, 0, 0])
  error = math.sqrt(square / 2 * contrast @ np.linalg.inv(x.T @ x) @ contrast)
  half = stats.studentized_range.ppf(0.95, 3, 2) / math.sqrt(2) * error
  found = fit.difference("a", "c")
  np.testing.assert_allclose(found.high - found.low, 2 * half, rtol=1e-6)


@pytest.mark.parametrize(
  ("values", "reason"),
  [
    ({"a": {0: 1.0}, "b": {0: 2.0}}, "one seed"),
    ({"a": {0: 1.0, 1: 2.0}}, "one row"),
    ({"a": {0: 1.0, 1: 2.0}, "b": {2: 1.0, 3: 3.0}}, "few seeds in common"),
    ({"a": {0: 1.0, 1: 1.0}, "b": {0: 1.0, 1: 1.0}}, "residuals are 0"),
  ],
)
def test_without_intervals_the_fit_says_why(values, reason):
  fit = statistics.two_way(values)
  assert reason in fit.reason
  assert fit.difference("a", next(reversed(values))) is None
  assert fit.groups() == {}


def test_methods_without_common_seeds_are_not_compared():
  values = {
    "a": {0: 1.0, 1: 2.5}, "b": {0: 1.5, 1: 2.4},
    "c": {5: 9.0, 6: 9.4}, "d": {5: 8.0, 6: 9.3},
  }  # fmt: skip
  fit = statistics.two_way(values)
  assert (fit.linked, fit.degrees) == (False, 2)
  assert fit.difference("a", "c") is None
  assert fit.difference("a", "b").effect == pytest.approx(-0.2)
  assert fit.means == pytest.approx({"a": 1.75, "b": 1.95, "c": 9.2, "d": 8.65})


def test_letters_are_the_largest_sets_that_do_not_differ():
  noise = [0.0, 0.1, -0.1, 0.05]
  middle = [0.15 + x for x in (0.1, -0.1, 0.0, 0.05)]
  top = [0.3 + x for x in (-0.1, 0.0, 0.1, 0.0)]
  fit = statistics.two_way(by_seed({"low": noise, "mid": middle, "top": top}))
  half = fit.difference("top", "low").high - fit.difference("top", "low").effect
  assert 0.16 < half < 0.28  # between one step and two
  assert fit.groups() == {"low": "b", "mid": "ab", "top": "a"}
  assert fit.groups(lowest_first=True) == {"low": "a", "mid": "ab", "top": "b"}


def test_methods_that_vary_far_more_are_outlying():
  """Cochran's C for variances 1, 1, 1, v and 3 seeds: v / (3 + v)."""

  def with_variance(v, offset=0.0):
    return {0: offset - v**0.5, 1: offset, 2: offset + v**0.5}

  values = {name: with_variance(1.0) for name in "abc"}
  # The 1 % critical value is 0.864 (ISO 5725-2, table 4: p = 4, n = 3).
  assert statistics.outlying(values | {"d": with_variance(17.0)}) == ()
  assert statistics.outlying(values | {"d": with_variance(21.0, 9)}) == ("d",)
  wide = {"d": with_variance(1e3), "e": with_variance(1e7)}
  assert statistics.outlying(values | wide) == ("e", "d")
  assert statistics.outlying({"a": {0: 1.0}, **wide}) == ()
  same = {name: {0: 1.0, 1: 1.0} for name in "abc"}
  assert statistics.outlying(same) == ()


def test_standard_error_of_the_test_images():
  # The reviewers' figures: 0.3 points for 10,000 images, 0.75 for 2,000.
  assert statistics.test_error(0.9, 10_000) == pytest.approx(0.003)
  assert statistics.test_error(0.87, 2_000) == pytest.approx(0.0075, rel=0.01)
  for wrong in ((1.5, 10), (math.nan, 10), (0.5, 0)):
    with pytest.raises(UserError):
      statistics.test_error(*wrong)


def test_mistakes():
  with pytest.raises(UserError, match="at least one method"):
    statistics.two_way({})
  with pytest.raises(UserError, match=r"x has nan for seed 3"):
    statistics.two_way({"x": {3: math.nan}})
  many = {str(i): {0: 0.0} for i in range(statistics.MOST_METHODS + 1)}
  with pytest.raises(UserError, match="up to 500 methods, got 501"):
    statistics.two_way(many)
  fit = statistics.two_way(by_seed(PENICILLIN))
  with pytest.raises(UserError, match="Unknown method 'E'"):
    fit.difference("E", "A")
