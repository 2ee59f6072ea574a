"""Tables of records: mean and spread over seeds, beside the cost."""

import json
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from etils import epath

from bnnjax.report import record as record_lib

MARKER = re.compile(r"<!-- results: (\S+) -->\n.*?<!-- /results -->\n", re.S)
COPY = re.compile(r"<!-- table: (\S+) -->\n.*?<!-- /table -->\n", re.S)
SEED = re.compile(r"-seed=\d+")
PERCENT = 100.0
PIPE = r"\|"

Runs = Sequence[Mapping[str, Any]]  # records that differ only in the seed
Cell = Callable[[Runs], str]


def group(records: Iterable[Mapping[str, Any]]) -> dict[str, list[dict]]:
  """Records by name, those that differ only in the seed together.

  Runs of one name whose configs differ in more (an override on the command
  line) are told apart by a number.
  """
  configs: dict[str, list[str]] = {}
  groups: dict[str, list[dict]] = {}
  for record in records:
    name = SEED.sub("", record["name"])
    config = {k: v for k, v in record["config"].items() if k != "seed"}
    # A teacher's workdir is named after its seed.
    text = SEED.sub("", json.dumps(config, sort_keys=True))
    seen = configs.setdefault(name, [])
    if text not in seen:
      seen.append(text)
    number = seen.index(text)
    key = name if not number else f"{name} ({number + 1})"
    groups.setdefault(key, []).append(dict(record))
  return groups


def spread(values: Sequence[float], factor: float = 1.0) -> str:
  """`mean +/- standard deviation (n=...)` of the values times a factor."""
  mean = factor * statistics.fmean(values)
  if len(values) == 1:
    return f"{mean:.2f} (n=1)"
  deviation = factor * statistics.stdev(values)
  return f"{mean:.2f} ± {deviation:.2f} (n={len(values)})"


def values(runs: Runs, metric: str) -> list[float]:
  """A metric of every run."""
  return [r["metrics"][metric] for r in runs]


def cost(figure: str) -> Cell:
  """A cell with an integer of the cost report, for one example."""
  return lambda runs: f"{runs[0]['cost'][figure]:,}"


def deployed_bytes(runs: Runs) -> str:
  """Bytes of everything that is stored: embeddings, norms, scales too."""
  return f"{runs[0]['cost']['weight_bytes_by_convention']['deployed']:,}"


def real(figure: str, factor: float = 1.0) -> Cell:
  """A cell with a real figure of the cost report; empty where it has none."""

  def cell(runs: Runs) -> str:
    value = runs[0]["cost"].get(figure)
    return "" if value is None else f"{factor * value:.2f}"

  return cell


def minutes(runs: Runs) -> str:
  """Median time of training and evaluation."""
  return f"{statistics.median(r['wall_seconds'] for r in runs) / 60:.1f}"


def devices(runs: Runs) -> str:
  """The accelerators that the runs had."""
  return ", ".join(sorted({r["device"] for r in runs}))


COLUMNS: dict[str, Cell] = {
  "test accuracy, %": lambda runs: spread(values(runs, "accuracy"), PERCENT),
  "ACE": cost("ace"),
  "BOPs": cost("bops"),
  "weight bytes": cost("weight_bytes"),
  "bpw": real("bits_per_weight"),
  "binarized, %": real("degree_of_binarization", PERCENT),
  "minutes": minutes,
  "device": devices,
}
YOUNG = ("bpw", "binarized, %")  # older records lack them
# Of texts, whose embeddings are no kernels and still most of the bytes.
TEXT_COLUMNS: dict[str, Cell] = {
  **{k: COLUMNS[k] for k in ("test accuracy, %", "ACE", "BOPs")},
  "weight bytes, deployed": deployed_bytes,
  **{k: COLUMNS[k] for k in ("bpw", "binarized, %", "minutes", "device")},
}


def markdown(
  groups: Mapping[str, Runs],
  columns: Mapping[str, Cell] = COLUMNS,
  head: str = "config",
) -> str:
  """A markdown table, a row for each group of runs.

  Args:
    groups: runs by the name that their row shows, in the order of the rows.
    columns: heading -> what a row's runs show under it. By default test
      accuracy of the deployed network after the last step, cost for one
      example, time.
    head: heading of the names.

  Returns:
    The table, without columns that none of its records has a figure for.
  """
  cells = {
    title: [cell(runs) for runs in groups.values()]
    for title, cell in columns.items()
  }
  cells = {k: c for k, c in cells.items() if any(c) or k not in YOUNG}
  lines = [_line([head, *cells]), "|---" * (len(cells) + 1) + "|\n"]
  for name, *row in zip(groups, *cells.values()):
    lines.append(_line([f"`{name}`", *row]))
  return "".join(lines)


def _line(cells: Iterable[str]) -> str:
  return f"| {' | '.join(c.replace('|', PIPE) for c in cells)} |\n"


def refresh(text: str, root: epath.PathLike) -> str:
  """Regenerates every table between markers.

  `<!-- results: FILE -->` is a table of the records of that file, `<!-- table:
  FILE -->` the first one of that markdown page.

  Args:
    text: markdown.
    root: folder that the files are relative to.

  Raises:
    ValueError: a file is missing.
  """

  def table(match):
    path = epath.Path(root) / match.group(1)
    if not path.exists():
      raise ValueError(f"The table's records {path} do not exist.")
    lines = markdown(group(record_lib.read(path)))
    return f"<!-- results: {match.group(1)} -->\n{lines}<!-- /results -->\n"

  def copy(match):
    path = epath.Path(root) / match.group(1)
    if not path.exists():
      raise ValueError(f"The page {path} of a table does not exist.")
    (lines, *_) = re.findall(r"(?:^\|.*\n)+", path.read_text(), re.M) or [""]
    return f"<!-- table: {match.group(1)} -->\n{lines}<!-- /table -->\n"

  return COPY.sub(copy, MARKER.sub(table, text))
