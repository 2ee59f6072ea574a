"""What became of the disturbances."""

import collections
import dataclasses

# `repaired`: the run said what was wrong and went on, to the same numbers.
# `harmless`: nothing was said, the numbers are the same to the bit.
GOOD = ("identical", "refused", "repaired", "harmless")


@dataclasses.dataclass
class Tally:
  """Outcomes of one kind of disturbance.

  Attributes:
    good: number by verdict, of `GOOD`.
    faults: what was silent, lost or a traceback, one line each.
  """

  good: collections.Counter = dataclasses.field(
    default_factory=collections.Counter
  )
  faults: list[str] = dataclasses.field(default_factory=list)

  def add(self, verdict: str, number: int = 1) -> None:
    """Counts a verdict of `GOOD`."""
    assert verdict in GOOD, verdict
    self.good[verdict] += number

  @property
  def total(self) -> int:
    return self.good.total() + len(self.faults)
