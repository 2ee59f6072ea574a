"""What layers ask of the numbers that they are given."""

import math
import operator
from typing import Any

import numpy as np

from bnnjax.core.hyper import shown
from bnnjax.core.numbers import INT32

LARGEST = 2**40  # elements of an array


def whole(name: str, value: Any, least: int | None = 1) -> int:
  """An int, or what counts as one (`np.int64`), as an int.

  Args:
    name: of the argument, for the message.
    value: what was given.
    least: the smallest that is taken; `None` for any.

  Raises:
    TypeError: a float, a bool or no number.
    ValueError: it is smaller, or beyond int32.
  """
  try:
    if isinstance(value, (bool, np.bool_)):
      raise TypeError
    number = operator.index(value)
  except TypeError:
    wanted = "an int" if least is None else f"an int >= {least}"
    raise TypeError(f"`{name}` must be {wanted}, got {value!r}.") from None
  if least is not None and number < least:
    raise ValueError(f"`{name}` must be at least {least}, got {number}.")
  if abs(number) > INT32:
    raise ValueError(f"`{name}` must be at most {INT32}, got {shown(number)}.")
  return number


def check_array(what: str, shape: tuple[int, ...]) -> None:
  """Refuses an array that no machine holds: XLA ends the process over it.

  Raises:
    ValueError: names `what`.
  """
  if math.prod(shape) > LARGEST:
    raise ValueError(
      f"{what} would have the shape {tuple(shape)}: at most 2^40 elements (4 TB"
      " of float32) can be meant."
    )


def check_sizes(**sizes: int) -> None:
  """Refuses sizes below 1.

  Raises:
    TypeError, ValueError: names the first.
  """
  for name, size in sizes.items():
    whole(name, size)


def exact(product: int, *factors: int) -> int:
  """`product` divided by the factors.

  Raises:
    ValueError: they do not divide it.
  """
  divisor = math.prod(factors)
  if divisor < 1 or product < 1 or product % divisor:
    raise ValueError(f"{product} is no multiple of {divisor}")
  return product // divisor
