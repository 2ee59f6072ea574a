"""Figures that papers, READMEs and public code print, each with its source.

A line of `published.csv` is a result of a model (`metric`, `value`: top-1
accuracy, perplexity, ...), a cost of it (`cost_metric`, `cost_value`: ACE,
OPs, model size, ...), or both.
"""

import csv
import dataclasses
import pathlib
from collections.abc import Mapping

from etils import epath

FILE = pathlib.Path(__file__).with_name("published.csv")
UNVERIFIED = "UNVERIFIED"  # in any cell: quoted without having seen the source


@dataclasses.dataclass(frozen=True)
class Published:
  """A line of the file.

  Attributes:
    line: its number, the header's is 1.
    row: its cells by column; empty where the publication says nothing.
  """

  line: int
  row: Mapping[str, str]

  @property
  def verified(self) -> bool:
    """Whether the source was seen."""
    return UNVERIFIED not in " ".join(self.row.values())


def read(path: epath.PathLike = FILE) -> list[Published]:
  """All lines, unverified ones too."""
  lines = epath.Path(path).read_text().splitlines()
  return [Published(i, row) for i, row in enumerate(csv.DictReader(lines), 2)]
