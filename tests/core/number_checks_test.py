import math

import pytest

from bnnjax.core import number_checks


@pytest.mark.parametrize(
  "value", [True, "1", None, math.nan, math.inf, -1, [1]]
)
def test_no_number_from_0(value):
  with pytest.raises(ValueError, match="`x` must be 0 or above, got"):
    number_checks.number("x", value, 0)


def test_ends_of_a_range_are_in_it():
  assert [number_checks.number("x", v, 0, 1) for v in (0, 0.5, 1)] == [
    0,
    0.5,
    1,
  ]
  for value in (-1e-9, 1 + 1e-9, 10**400):
    with pytest.raises(ValueError, match=r"`x` must be in \[0, 1\]"):
      number_checks.number("x", value, 0, 1)


def test_size():
  assert number_checks.size("x", 7, 7) == 7
  for value in (0, -1, True, 1.0, "1"):
    with pytest.raises(ValueError, match="`x` must be a positive integer"):
      number_checks.size("x", value, 7)
  with pytest.raises(ValueError, match="`x` must be at most 7: got 8"):
    number_checks.size("x", 8, 7)


def test_interval():
  assert number_checks.interval("x", [0.5, 1], 1) == (0.5, 1)
  for value in ((0, 1), (1, 0.5), (0.5, 2), 1, "ab", (1,), (1, math.nan)):
    with pytest.raises(ValueError, match=r"`x` must be \(low, high\)"):
      number_checks.interval("x", value, 1)


def test_sizes_at_any_depth():
  most = 2**31 - 1
  number_checks.int32s("model", {"a": (1, [most]), "b": {"c": None, "d": "x"}})
  for value, where in (
    ({"a": (1, [most + 1])}, "model.a"),
    ({"b": {"c": -(2**40)}}, "model.b.c"),
    ([math.nan], "model"),
  ):
    with pytest.raises(ValueError, match=f"'{where}' must be"):
      number_checks.int32s("model", value)
