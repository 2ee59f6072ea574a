"""Our figures for published rows, as lines of JSON."""

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from etils import epath

from . import notes
from .printed import Cost

FILE = pathlib.Path(__file__).parents[1] / "results" / "published_costs.jsonl"


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


def read(path: epath.PathLike = FILE) -> list[Count]:
  """The lines that `python -m experiments.published_costs` wrote."""
  lines = epath.Path(path).read_text().splitlines()
  return [Count.from_json(json.loads(line)) for line in lines]


def join(
  rows: Iterable[Cost], counts: Iterable[Count]
) -> list[tuple[Cost, Count]]:
  """Every row with its count, an empty one for a row known to have none.

  Raises:
    ValueError: a row without a count and without a reason for it, or a count of
      something else.
  """
  table = {c.line: c for c in counts}
  pairs = []
  for p in rows:
    c = table.pop(p.line, None)
    if c is None and notes.missing(p.row):
      c = Count(p.line, p.row["model"], p.metric)
    if c is None or (c.model, c.metric) != (p.row["model"], p.metric):
      raise ValueError(
        f"Line {p.line} ({p.row['model']}, {p.metric}) has no count; run"
        " `python -m experiments.published_costs` again."
      )
    pairs.append((p, c))
  if table:
    raise ValueError(f"Counts of lines that are not rows: {sorted(table)}.")
  return pairs
