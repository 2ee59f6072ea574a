"""What became of the inputs of a hunt."""

import dataclasses


@dataclasses.dataclass
class Tally:
  """Outcomes of a part of the hunt.

  Attributes:
    valid: inputs that ran to the end, with the right values.
    refused: inputs that were refused by a user error with file and fault.
    uncaught: what was neither, one line each.
    hung: inputs that took more CPU than they may.
  """

  valid: int = 0
  refused: int = 0
  uncaught: list[str] = dataclasses.field(default_factory=list)
  hung: list[str] = dataclasses.field(default_factory=list)

  @property
  def total(self) -> int:
    """Number of inputs."""
    return self.valid + self.refused + len(self.uncaught) + len(self.hung)

  def __add__(self, other: "Tally") -> "Tally":
    return Tally(
      self.valid + other.valid,
      self.refused + other.refused,
      self.uncaught + other.uncaught,
      self.hung + other.hung,
    )

  def __str__(self) -> str:
    return (
      f"{self.total} inputs: {self.valid} valid, {self.refused} refused,"
      f" {len(self.uncaught)} uncaught, {len(self.hung)} hung"
    )
