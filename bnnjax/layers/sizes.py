"""What layers ask of the numbers that they are given."""

import math


def check_sizes(**sizes: int) -> None:
  """Refuses sizes below 1.

  Raises:
    ValueError: names the first.
  """
  for name, size in sizes.items():
    if size < 1:
      raise ValueError(f"`{name}` must be at least 1, got {size}.")


def exact(product: int, *factors: int) -> int:
  """`product` divided by the factors.

  Raises:
    ValueError: they do not divide it.
  """
  divisor = math.prod(factors)
  if divisor < 1 or product < 1 or product % divisor:
    raise ValueError(f"{product} is no multiple of {divisor}")
  return product // divisor
