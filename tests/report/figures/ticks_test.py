"""Ticks and their names."""

import pytest

from bnnjax.report.figures import ticks


@pytest.mark.parametrize(
  ("low", "high", "names"),
  [
    (0.9e6, 2e9, ["1M", "10M", "100M", "1G"]),
    (2e6, 5e7, ["3M", "10M", "30M"]),
    (90, 600, ["100", "200", "500"]),
    (1, 1e14, ["1", "1k", "1M", "1G", "1T"]),  # every third, at most seven
    (2.4e7, 2.6e7, ["24M", "24.5M", "25M", "25.5M", "26M"]),
  ],
)
def test_costs(low, high, names):
  assert list(ticks.of_costs(low, high).values()) == names


def test_units():
  assert [ticks.in_units(x) for x in (0.3, 999, 1e3, 25e6, 1.5e9, 2e15)] == [
    "0.3", "999", "1k", "25M", "1.5G", "2P",
  ]  # fmt: skip


def test_a_linear_axis_has_a_minus_sign():
  assert list(ticks.linear(-1.0, 1.0, 4).values()) == [
    "−1", "−0.5", "0", "0.5", "1",
  ]  # fmt: skip
