"""Where the ticks of an axis stand, and what they are called."""

import math

PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def of_costs(low: float, high: float) -> dict[float, str]:
  """Ticks of a logarithmic axis, 3 to 7 if possible, with their names."""
  decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
  for digits in ((1,), (1, 3), (1, 2, 5), tuple(range(1, 10))):
    found = [float(f"{d}e{k}") for k in decades for d in digits]
    found = [x for x in found if low <= x <= high]
    if len(found) >= 3:
      step = -(-len(found) // 7)
      return {x: in_units(x) for x in found[::step]}
  return {x: in_units(x) for x in linear(low, high, 4)}


def in_units(value: float) -> str:
  """A cost with the prefix of its size.

  Example:
    >>> in_units(25_000_000), in_units(0.3), in_units(1.5e9)
    ('25M', '0.3', '1.5G')
  """
  for size, prefix in PREFIXES:
    if abs(value) >= size:
      return f"{value / size:.4g}{prefix}"
  return f"{value:.4g}"


def linear(low: float, high: float, most: int) -> dict[float, str]:
  """About so many ticks of a linear axis, with their names."""
  from matplotlib.ticker import MaxNLocator

  found = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
  values = [float(v) for v in found if low <= v <= high]
  return {
    v: f"{round(v, 10):.6g}".replace("-", "\N{MINUS SIGN}") for v in values
  }
