"""Differences at equal cost, by hand."""

import math

import pytest

from bnnjax.errors import UserError
from bnnjax.report.equal_cost import Curve, Gap, gap_at_equal_cost

T2 = 4.302652729749464  # Student's t, 97.5 %, 2 degrees of freedom (tables)


def test_a_gap_is_interpolated_over_the_logarithm_of_the_cost_for_each_seed():
  # Half-way between 100 and 10,000 on a logarithmic axis is 1,000.
  one_bit = Curve(
    {1: {0: 0.80, 1: 0.82, 2: 0.84}, 2: {0: 0.90, 1: 0.90, 2: 0.90}},
    {1: 100, 2: 10_000},
  )
  four_bit = Curve({1: {0: 0.80, 1: 0.80, 2: 0.80}}, {1: 1_000})
  # At 1,000 the seeds have 0.85, 0.86, 0.87: gaps 0.05, 0.06, 0.07.
  [found] = gap_at_equal_cost(one_bit, four_bit)
  half = T2 * 0.01 / math.sqrt(3)
  assert found == pytest.approx((1_000, 0.06, 0.06 - half, 0.06 + half))


def test_outside_of_the_overlap_there_is_no_gap():
  one_bit = Curve({1: {0: 0.5, 1: 0.5}, 2: {0: 0.7, 1: 0.9}}, {1: 10, 2: 100})
  other = Curve(
    {4: {0: 0.9}, 2: {0: 0.6, 1: 0.6}, 1: {0: 0.4}}, {1: 9, 2: 100, 4: 101}
  )
  below, at_the_end, above = gap_at_equal_cost(one_bit, other)
  assert below == Gap(9, None, None, None)
  assert above == Gap(101, None, None, None)
  assert at_the_end[:2] == pytest.approx((100, 0.2))
  # Two seeds: t of 1 degree of freedom is tan(0.475 pi).
  half = math.tan(0.475 * math.pi) * 0.1
  assert at_the_end[2:] == pytest.approx((0.2 - half, 0.2 + half))


def test_only_equal_seeds_are_compared():
  curve = Curve({1: {0: 0.5, 1: 0.9}, 2: {0: 0.7, 5: 0.1}}, {1: 1, 2: 100})
  assert curve.at(10) == pytest.approx({0: 0.6})
  one = gap_at_equal_cost(curve, Curve({1: {0: 0.5, 1: 0}}, {1: 10}))
  assert one[0] == pytest.approx((10, 0.1, None, None))
  none = gap_at_equal_cost(curve, Curve({1: {7: 0.5}}, {1: 10}))
  assert none == [Gap(10, None, None, None)]


@pytest.mark.parametrize(
  ("accuracy", "cost", "message"),
  [
    ({1: {0: 0.5}}, {2: 10}, "at the same widths"),
    ({1: {0: 0.5}}, {1: 0}, "must be positive"),
    ({1: {0: 0.5}}, {1: math.nan}, "must be positive"),
    ({1: {}}, {1: 10}, "one seed at least"),
    ({1: {0: math.nan}}, {1: 10}, "finite number for every seed"),
    ({1: {0: 0.5}, 2: {0: 0.5}}, {1: 10, 2: 10}, "the same cost"),
  ],
)
def test_curves_that_have_no_interpolation(accuracy, cost, message):
  with pytest.raises(UserError, match=message):
    Curve(accuracy, cost)
