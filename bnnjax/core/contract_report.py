"""What `bx.check` found: one line for each check of an estimator."""

import dataclasses
from collections.abc import Iterator

from bnnjax import markup
from bnnjax.errors import UserError

HEAD = ("check", "result", "found", "right")
WORDS = {True: "passed", False: "FAILED", None: "-"}


@dataclasses.dataclass(frozen=True)
class Check:
  """One line.

  Attributes:
    name: of the check, e.g. "sign of zero".
    passed: `None` for a check that does not apply.
    found: what the estimator did, or why the check does not apply.
    right: what it has to do.
    role: of the binarizer that was checked, "weight" or "act".
  """

  name: str
  passed: bool | None
  found: str
  right: str
  role: str = "weight"

  def __str__(self) -> str:
    return f"{self.name} ({self.role}): {self.found}. Right: {self.right}."


@dataclasses.dataclass(frozen=True, repr=False)
class Report:
  """All checks of one estimator. It is false if any of them failed.

  Attributes:
    subject: what was checked, as it was given.
    checks: in the order in which they ran.
  """

  subject: str
  checks: tuple[Check, ...]

  @property
  def failed(self) -> tuple[Check, ...]:
    """The checks that failed."""
    return tuple(c for c in self.checks if c.passed is False)

  def __bool__(self) -> bool:
    return not self.failed

  def __iter__(self) -> Iterator[Check]:
    return iter(self.checks)

  def __len__(self) -> int:
    return len(self.checks)

  def raise_if_failed(self) -> "Report":
    """Returns itself if nothing failed.

    Raises:
      UserError: names every check that failed, what was found and what would be
        right.
    """
    if self.failed:
      lines = [f"{self._summary}:", *(f"- {check}" for check in self.failed)]
      raise UserError("\n".join(lines))
    return self

  @property
  def _summary(self) -> str:
    ran = sum(c.passed is not None for c in self.checks)
    return f"{self.subject}: {len(self.failed)} of {ran} checks failed"

  def _rows(self) -> list[tuple[str, ...]]:
    several = len({c.role for c in self.checks}) > 1
    return [
      (
        f"{c.role}: {c.name}" if several else c.name,
        WORDS[c.passed],
        c.found,
        c.right,
      )
      for c in self.checks
    ]

  def __repr__(self) -> str:
    rows = [HEAD, *self._rows()]
    widths = [max(map(len, column)) for column in zip(*rows)]
    rows.insert(1, tuple("-" * width for width in widths))
    lines = (
      "  ".join(cell.ljust(width) for cell, width in zip(row, widths))
      for row in rows
    )
    return "\n".join([self._summary, *(line.rstrip() for line in lines)])

  def _repr_html_(self) -> str:
    return markup.table(HEAD, self._rows(), self._summary)
