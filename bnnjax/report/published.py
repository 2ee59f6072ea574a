"""Published costs and our counts of them: what is read from files.

A published row is a line of `published.csv` that carries a cost. Our figure for
it is a line of JSON (`Count`), written by `experiments/published_costs.py`,
which builds and counts the networks. `published_verdict` compares the two,
`published_page` prints them.
"""

import csv
import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from etils import epath

from bnnjax.report import published_notes

UNVERIFIED = "UNVERIFIED"
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
  "MB": 2**20,  # BiBERT's "418" is 2**20 bytes, see cost_model.md
  "bit": 1,
  "x": 1,
  "%": Fraction(1, 100),
}
# Tables that print two decimals below 10 ("1.70"), which the csv has as "1.7";
# the digits of the copies quoted in cost_model.md.
TWO_DECIMALS = (
  ("arXiv 2003.03488", ""),
  ("larq/docs", "model size"),
)


@dataclasses.dataclass(frozen=True)
class Published:
  """A cost that somebody printed.

  Attributes:
    line: of the csv file.
    row: that line.
  """

  line: int
  row: Mapping[str, str]

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


@dataclasses.dataclass(frozen=True)
class Count:
  """Our figure for a published row.

  Attributes:
    line, model, metric: of the row that it belongs to.
    ours: exact, in base units; `None` when it is not counted.
    counted: the network, or the printed figures, that it comes from.
    others: the same under another convention, by its name.
    within: smallest and largest value that printed inputs allow.
    at_least: `(why, value)`: the publication's own figures allow no less.
    hypotheses: `(in words, value)`: what would give another figure, without
      evidence that it was done; the verdict does not change by it.
  """

  line: int
  model: str
  metric: str
  ours: Fraction | None = None
  counted: str = ""
  others: tuple[tuple[str, Fraction], ...] = ()
  within: tuple[Fraction, Fraction] | None = None
  at_least: tuple[str, Fraction] | None = None
  hypotheses: tuple[tuple[str, Fraction], ...] = ()

  def to_json(self) -> dict[str, Any]:
    """Plain JSON; fractions as `[numerator, denominator]`."""
    fields = dataclasses.asdict(self)
    return {k: _plain(v) for k, v in fields.items() if v not in (None, "", ())}

  @classmethod
  def from_json(cls, fields: Mapping[str, Any]) -> "Count":
    """The inverse of `to_json`."""
    fields = dict(fields)
    for name in ("ours", "within", "at_least", "others", "hypotheses"):
      if name in fields:
        fields[name] = _READ[name](fields[name])
    return cls(**fields)


def _plain(x):
  if isinstance(x, Fraction):
    return [x.numerator, x.denominator]
  return [_plain(y) for y in x] if isinstance(x, tuple) else x


_READ = {
  "ours": lambda x: Fraction(*x),
  "within": lambda x: tuple(Fraction(*y) for y in x),
  "at_least": lambda x: (x[0], Fraction(*x[1])),
  "others": lambda x: tuple((name, Fraction(*y)) for name, y in x),
  "hypotheses": lambda x: tuple((name, Fraction(*y)) for name, y in x),
}


def read(path: epath.PathLike) -> tuple[list[Published], int, int]:
  """Rows that carry a cost.

  Returns:
    The rows, the number of rows left out as UNVERIFIED, and the number of those
    that name a cost without a value.
  """
  lines = epath.Path(path).read_text().splitlines()
  rows = [Published(i, row) for i, row in enumerate(csv.DictReader(lines), 2)]
  empty = sum(bool(p.metric and not p.row["cost_value"]) for p in rows)
  rows = [p for p in rows if p.row["cost_value"]]
  good = [p for p in rows if UNVERIFIED not in " ".join(p.row.values())]
  return good, len(rows) - len(good), empty


def read_counts(path: epath.PathLike) -> list[Count]:
  """The lines that `experiments/published_costs.py` wrote."""
  lines = epath.Path(path).read_text().splitlines()
  return [Count.from_json(json.loads(line)) for line in lines]


def join(
  rows: Iterable[Published], counts: Iterable[Count]
) -> list[tuple[Published, Count]]:
  """Every row with its count, an empty one for a row known to have none.

  Raises:
    ValueError: a row without a count and without a reason for it, or a count of
      something else.
  """
  table = {c.line: c for c in counts}
  pairs = []
  for p in rows:
    c = table.pop(p.line, None)
    if c is None and published_notes.missing(p.row):
      c = Count(p.line, p.row["model"], p.metric)
    if c is None or (c.model, c.metric) != (p.row["model"], p.metric):
      raise ValueError(
        f"Line {p.line} ({p.row['model']}, {p.metric}) has no count; run"
        " `python experiments/published_costs.py` again."
      )
    pairs.append((p, c))
  if table:
    raise ValueError(f"Counts of lines that are not rows: {sorted(table)}.")
  return pairs


def printed(p: Published) -> str:
  """The published number with the digits that it was printed with."""
  if p.number is None:
    return p.row["cost_value"]
  if p.decimals < 0:
    exponent = math.floor(math.log10(p.number))
    return f"{float(p.number) / 10**exponent:.2f}e{exponent}"
  return f"{float(p.number):,.{p.decimals}f}"


def shown(value: Fraction, p: Published) -> str:
  """A figure of ours in the unit of the row, with two digits more."""
  value = value / p.base
  if value.denominator == 1 and p.base == 1:
    return f"{value.numerator:,}"
  return f"{float(value):,.{max(p.decimals, 0) + 2}f}"
