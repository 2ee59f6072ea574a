"""Figures that papers, READMEs and public code print, each with its source.

A line of `published.csv` is a result of a model (`metric`, `value`: top-1
accuracy, perplexity, ...), a cost of it (`cost_metric`, `cost_value`: ACE,
OPs, model size, ...), or both. `top1_against_ace` puts the lines of a model
together.
"""

import csv
import dataclasses
import decimal
import pathlib
from collections.abc import Mapping, Sequence

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


# How the ACE of a published accuracy is known.
PRINTED = "ACE printed by the source"
FROM_MACS = "ACE from its MACs: 1-bit + 256 x float"
COUNTED = "ACE counted here"
# Costs of a row by the words of the publications.
_ACE = ("ACE", "ACE (compute_cost)")
_BINARY = ("BOPs", "1-bit MACs")
_FLOAT = ("FLOPs", "32-bit MACs")
_UNITS = {"1e9": 10**9, "1e8": 10**8, "MAC": 1}
FLOAT_ACE = 256  # of a float MAC: 16 x 16
TOLERANCE = 0.02  # relative, between BOPs / 64 + FLOPs and the printed OPs


@dataclasses.dataclass(frozen=True)
class Point:
  """A published accuracy and the ACE of its network.

  Attributes:
    model: its name there, and the widths if the model has several.
    top1: accuracy, %, of ImageNet-1k's validation images.
    ace: of one image.
    origin: `PRINTED`, `FROM_MACS` or `COUNTED`.
    source: of the accuracy, and of the cost where it is another.
    lines: of the file.
  """

  model: str
  top1: float
  ace: float
  origin: str
  source: str
  lines: tuple[int, ...]


def top1_against_ace(path: epath.PathLike = FILE) -> list[Point]:
  """The verified ImageNet accuracies whose network has a known ACE.

  The ACE is printed, or follows from the printed 1-bit MACs and float MACs, or
  was counted here from the network's shapes. Publications whose BOPs, FLOPs and
  OPs contradict each other are left out.
  """
  models: dict[tuple[str, ...], list[Published]] = {}
  for published in read(path):
    if published.verified and published.row["dataset"] == "ImageNet-1k":
      key = tuple(published.row[k] for k in ("model", "family", "variant"))
      models.setdefault(key, []).append(published)
  names = [model for model, *_ in models]
  found = []
  for (model, _, variant), rows in models.items():
    several = names.count(model) > 1
    results: dict[str, Published] = {}
    for published in rows:
      if published.row["metric"] == "top1":
        results.setdefault(published.row["value"], published)
    cost = _ace(rows)
    for value, result in results.items() if cost else ():
      ace, origin, lines = cost
      used = [p for p in rows if p.line in {result.line, *lines}]
      found.append(
        Point(
          f"{model} {variant}" if several else model,
          float(value),
          ace,
          origin,
          " ; ".join(dict.fromkeys(_source(p) for p in used)),
          tuple(p.line for p in used),
        )
      )
  return sorted(found, key=lambda p: (p.ace, p.model))


def _source(published: Published) -> str:
  row = published.row
  return f"{row['source']}, {row['table']}" if row["table"] else row["source"]


def _ace(
  rows: Sequence[Published],
) -> tuple[float, str, tuple[int, ...]] | None:
  """ACE of a model, how it is known, and the lines that say so."""

  def cost(metrics):
    for published in rows:
      unit = _UNITS.get(published.row["cost_unit"])
      if published.row["cost_metric"] in metrics and unit:
        value = decimal.Decimal(published.row["cost_value"])  # exact
        return float(value * unit), published
    return None

  if found := cost(_ACE):
    ace, published = found
    ours = "not a published figure" in published.row["notes"]
    return ace, COUNTED if ours else PRINTED, (published.line,)
  binary, other, ops = cost(_BINARY), cost(_FLOAT), cost(("OPs",))
  if not binary or not other:
    return None
  if ops and abs((binary[0] / 64 + other[0]) / ops[0] - 1) > TOLERANCE:
    return None
  lines = binary[1].line, other[1].line
  return binary[0] + FLOAT_ACE * other[0], FROM_MACS, lines
