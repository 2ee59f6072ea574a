import math

import pytest

from bnnjax.core import numbers


@pytest.mark.parametrize(
  "value", [True, "1", None, math.nan, math.inf, -1, [1]]
)
def test_no_number_from_0(value):
  with pytest.raises(ValueError, match="`x` must be 0 or above, got"):
    numbers.number("x", value, 0)


def test_ends_of_a_range_are_in_it():
  assert [numbers.number("x", v, 0, 1) for v in (0, 0.5, 1)] == [0, 0.5, 1]
  for value in (-1e-9, 1 + 1e-9, 10**400):
    with pytest.raises(ValueError, match=r"`x` must be in \[0, 1\]"):
      numbers.number("x", value, 0, 1)


def test_size():
  assert numbers.size("x", 7, 7) == 7
  for value in (0, -1, True, 1.0, "1"):
    with pytest.raises(ValueError, match="`x` must be a positive integer"):
      numbers.size("x", value, 7)
  with pytest.raises(ValueError, match="`x` must be at most 7: got 8"):
    numbers.size("x", 8, 7)


def test_interval():
  assert numbers.interval("x", [0.5, 1], 1) == (0.5, 1)
  for value in ((0, 1), (1, 0.5), (0.5, 2), 1, "ab", (1,), (1, math.nan)):
    with pytest.raises(ValueError, match=r"`x` must be \(low, high\)"):
      numbers.interval("x", value, 1)


def test_sizes_at_any_depth():
  most = 2**31 - 1
  numbers.int32s("model", {"a": (1, [most]), "b": {"c": None, "d": "x"}})
  for value, where in (
    ({"a": (1, [most + 1])}, "model.a"),
    ({"b": {"c": -(2**40)}}, "model.b.c"),
    ([math.nan], "model"),
  ):
    with pytest.raises(ValueError, match=f"'{where}' must be"):
      numbers.int32s("model", value)
