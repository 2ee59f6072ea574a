"""Costs that somebody printed, and the digits that they were printed with.

Rows of `bnnjax/report/published.csv` that carry a cost.
"""

import math
from fractions import Fraction

from etils import epath

from bnnjax.report import published

# Our figures are in these base units: MACs, bytes, bits, picojoules, ratios.
UNITS = {
  "1e9": 10**9,
  "1e8": 10**8,
  "MAC": 1,
  "1e6 (2 per MAC)": 10**6,
  "1e9 pJ": 10**9,
  "GB": 10**9,
  "MB (1e6)": 10**6,
  "MiB (labelled MB)": 2**20,
  "MiB (labelled M)": 2**20,
  "MB": 2**20,  # BiBERT's "418" is in 2**20 bytes
  "bit": 1,
  "x": 1,
  "%": Fraction(1, 100),
}
# Tables that print two decimals below 10 ("1.70"), where the csv has "1.7".
TWO_DECIMALS = (
  ("arXiv 2003.03488", ""),
  ("larq/docs", "model size"),
)


class Cost(published.Published):
  """A row that carries a cost."""

  @property
  def metric(self) -> str:
    return self.row["cost_metric"]

  @property
  def number(self) -> Fraction | None:
    """In the unit of the row; `None` for "30-50"."""
    try:
      return Fraction(self.row["cost_value"])
    except ValueError:
      return None

  @property
  def decimals(self) -> int:
    """Digits after the point that were printed, negative for rounded MACs."""
    number = self.number
    if not number:
      return 0
    if "three significant" in self.row["notes"]:
      return 2 - math.floor(math.log10(number))
    text = self.row["cost_value"]
    digits = len(text.partition(".")[2])
    two = any(
      self.row["source"].startswith(source) and metric in ("", self.metric)
      for source, metric in TWO_DECIMALS
    )
    return max(digits, 2) if two and number < 10 else digits

  @property
  def base(self) -> Fraction:
    """One unit of the row in base units."""
    return Fraction(UNITS.get(self.row["cost_unit"], 1))

  def says(self, ours: Fraction) -> str | None:
    """`"equal"`, `"rounds"`, `"truncates"`, or `None` for another number."""
    number, step = self.number, Fraction(10) ** -self.decimals
    ours = Fraction(ours) / self.base
    if ours == number:
      return "equal"
    if math.floor(ours / step + Fraction(1, 2)) * step == number:
      return "rounds"
    return "truncates" if math.floor(ours / step) * step == number else None

  def interval(self) -> tuple[Fraction, Fraction]:
    """What may have been printed so, by rounding or truncation; base units."""
    step = Fraction(10) ** -self.decimals
    low, high = self.number - step / 2, self.number + step
    return low * self.base, high * self.base


def read(path: epath.PathLike = published.FILE) -> tuple[list[Cost], int, int]:
  """Rows that carry a cost.

  Returns:
    The rows, the number of rows left out as unverified, and the number of those
    that name a cost without a value.
  """
  rows = [Cost(p.line, p.row) for p in published.read(path)]
  empty = sum(bool(p.metric and not p.row["cost_value"]) for p in rows)
  rows = [p for p in rows if p.row["cost_value"]]
  good = [p for p in rows if p.verified]
  return good, len(rows) - len(good), empty


def text(p: Cost) -> str:
  """The published number with the digits that it was printed with."""
  if p.number is None:
    return p.row["cost_value"]
  if p.decimals < 0:
    exponent = math.floor(math.log10(p.number))
    return f"{float(p.number) / 10**exponent:.2f}e{exponent}"
  return f"{float(p.number):,.{p.decimals}f}"


def shown(value: Fraction, p: Cost) -> str:
  """A figure of ours in the unit of the row, with two digits more."""
  value = value / p.base
  if value.denominator == 1 and p.base == 1:
    return f"{value.numerator:,}"
  return f"{float(value):,.{max(p.decimals, 0) + 2}f}"
