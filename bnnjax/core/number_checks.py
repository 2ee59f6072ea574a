"""Checks of numbers that users give."""

import math
from typing import Any

INT32 = 2**31 - 1  # the largest size of an axis and the last step


def is_number(value: Any) -> bool:
  """Whether a value is an int or a float, but not NaN or a bool."""
  real = isinstance(value, (int, float)) and not isinstance(value, bool)
  return real and value == value


def number(what: str, value: Any, low: float, high: float = math.inf) -> float:
  """The value, if it is a finite number in [low, high].

  Raises:
    ValueError: names `what`.
  """
  if not is_number(value) or not low <= value <= high or value == math.inf:
    bounds = f"in [{low}, {high}]" if high < math.inf else f"{low} or above"
    raise ValueError(f"`{what}` must be {bounds}, got {value!r}.")
  return value


def size(what: str, value: Any, high: int) -> int:
  """The value, if it is an int in [1, high].

  Raises:
    ValueError: names `what`.
  """
  if not isinstance(value, int) or not is_number(value) or value < 1:
    raise ValueError(f"`{what}` must be a positive integer: got {value!r}.")
  if value > high:
    raise ValueError(f"`{what}` must be at most {high}: got {value}.")
  return value


def interval(what: str, value: Any, high: float) -> tuple[float, float]:
  """The value, if it is `(low, high)` with 0 < low <= high, at most `high`.

  Raises:
    ValueError: names `what`.
  """
  pair = isinstance(value, (tuple, list)) and len(value) == 2
  if not pair or not all(map(is_number, value)):
    fits = False
  else:
    fits = 0 < value[0] <= value[1] <= high
  if not fits:
    raise ValueError(
      f"`{what}` must be (low, high), 0 < low <= high <= {high}: got {value!r}."
    )
  return tuple(value)


def int32s(what: str, value: Any) -> None:
  """Raises if a value holds an int beyond int32 or NaN, at any depth.

  Args:
    what: name of the value, for the message.
    value: a number, or a mapping or sequence of such; anything else passes.

  Raises:
    ValueError: names the number.
  """
  if hasattr(value, "items"):
    for key, inside in value.items():
      int32s(f"{what}.{key}" if what else str(key), inside)
  elif isinstance(value, (tuple, list)):
    for inside in value:
      int32s(what, inside)
  elif isinstance(value, int) and abs(value) > INT32:
    raise ValueError(f"{what!r} must be at most {INT32}, got {value!r}.")
  elif isinstance(value, float) and math.isnan(value):
    raise ValueError(f"{what!r} must be a number, got {value!r}.")
