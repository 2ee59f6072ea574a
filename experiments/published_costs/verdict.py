"""Whether a published cost and ours agree, computed from the two numbers."""

import dataclasses
from collections.abc import Sequence

from . import notes
from .counts import Count
from .printed import Cost, shown, text

KINDS = {
  "equal": "equal: the same number",
  "rounds": "rounds to it: ours, printed with as many digits, is the same",
  "truncates": (
    "truncates to it: ours, cut off after as many digits, is the same, but"
    " rounds to another number"
  ),
  "contradiction": (
    "publication contradicts itself: its own figures do not fit together"
  ),
  "explained": "differs, for a stated reason",
  "differs": "differs, for a reason that we do not know",
  "missing": "not counted here: something is missing, as stated",
}


@dataclasses.dataclass(frozen=True)
class Verdict:
  """A key of `KINDS`, and what to say beside it."""

  kind: str
  text: str = ""


def verdict(p: Cost, c: Count, rows: Sequence[Cost]) -> Verdict:
  """How a published figure and ours agree.

  A contradiction among the publication's own figures comes before every
  agreement but an exact or a rounded one; then another convention of ours, then
  truncation.

  Args:
    p: the published row.
    c: our count of it.
    rows: all published rows, to compare the columns of one table.
  """
  if c.ours is None or p.number is None:
    beside = _all(p, c)
    return Verdict("missing", "; ".join([notes.missing(p.row), *beside]))
  against, remarks = contradiction(p, c, rows), notes.notes(p.row)
  said = p.says(c.ours)
  if said in ("equal", "rounds"):
    return Verdict(said, "; ".join([*remarks, *against]))
  off = f"ours {100 * float(c.ours / p.base / p.number - 1):+.2g} %"
  reasons = [*_conventions(p, c), *notes.reasons(p.row)]
  beside = [] if reasons or said else _all(p, c)
  guesses = _hypotheses(p, c)
  words = "; ".join([off, *against, *reasons, *beside, *guesses, *remarks])
  if against:
    return Verdict("contradiction", words)
  if reasons:
    return Verdict("explained", words)
  return Verdict(said or "differs", words)


def _all(p: Cost, c: Count) -> list[str]:
  """The other figures of ours, where none gives the printed one."""
  return [f"{name}: {shown(value, p)}" for name, value in c.others]


def _conventions(p: Cost, c: Count) -> list[str]:
  """In words, what else of ours gives the printed number."""
  fits = [
    f"{name}: {shown(value, p)}, which {_AS[p.says(value)]}"
    for name, value in c.others
    if p.says(value)
  ]
  if c.within and _overlap(c.within, p.interval()):
    low, high = (shown(x, p) for x in c.within)
    fits.append(f"the digits of the printed inputs allow {low} to {high}")
  return fits


def _hypotheses(p: Cost, c: Count) -> list[str]:
  """In words, what would give the printed number if it had been done."""
  return [
    f"hypothesis: {name}: {shown(value, p)}, which {_AS[p.says(value)]}"
    for name, value in c.hypotheses
    if p.says(value)
  ]


_AS = {
  "equal": "is it",
  "rounds": "rounds to it",
  "truncates": "truncates to it",
}


def contradiction(p: Cost, c: Count, rows: Sequence[Cost]) -> list[str]:
  """In words, what of the publication's own figures does not fit together."""
  found = []
  if p.metric == "OPs":
    beside = {
      q.metric: q
      for q in rows
      if all(q.row[k] == p.row[k] for k in ("model", "source", "table"))
    }
    if "BOPs" in beside and "FLOPs" in beside:
      parts = [(beside["BOPs"], 64), (beside["FLOPs"], 1)]
      low, high = (
        sum(q.interval()[side] / by for q, by in parts) for side in (0, 1)
      )
      if not _overlap((low, high), p.interval()):
        total = sum(q.number * q.base / by for q, by in parts)
        found.append(
          f"its own BOPs / 64 + FLOPs is {shown(total, p)}, not {text(p)}"
        )
  if c.at_least and p.interval()[1] < c.at_least[1]:
    name, value = c.at_least
    found.append(f"{name}: {shown(value, p)}, which is more")
  return found


def _overlap(a, b) -> bool:
  return a[0] <= b[1] and b[0] <= a[1]
