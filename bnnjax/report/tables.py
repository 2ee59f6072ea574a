"""Tables of records: mean and spread over seeds, beside the cost."""

import os
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bnnjax import deprecated, errors
from bnnjax.errors import UserError
from bnnjax.report import grouping
from bnnjax.report import record as record_lib

PERCENT = 100.0
PIPE = r"\|"
# What markdown and HTML show as it is.
PLAIN = re.compile(r"[\w .,:;=+/()@%#-]*", re.A)
# The figures of a record that a table shows.
SHOWN = (
  ("metrics", "accuracy"),
  ("cost", "ace"),
  ("cost", "bops"),
  ("cost", "weight_bytes"),
)

group = grouping.by_config

Runs = Sequence[Mapping[str, Any]]  # records that differ only in the seed
Cell = Callable[[Runs], str]


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
  """Bytes of all that is stored, including embeddings, norms and scales."""
  return f"{runs[0]['cost']['weight_bytes_by_convention']['deployed']:,}"


def real(figure: str, factor: float = 1.0) -> Cell:
  """A cell with a real figure of the cost report; empty if it has none."""

  def cell(runs: Runs) -> str:
    value = runs[0]["cost"].get(figure)
    return "" if value is None else f"{factor * value:.2f}"

  return cell


def minutes(runs: Runs) -> str:
  """Median time of training and evaluation."""
  return f"{statistics.median(r['wall_seconds'] for r in runs) / 60:.1f}"


def devices(runs: Runs) -> str:
  """The accelerators that the runs used."""
  return ", ".join(sorted({escape(r["device"]) for r in runs}))


def escape(text: str) -> str:
  """Text of a record for a cell, without markup and line breaks."""
  return "".join(
    c if c.isalnum() or (PLAIN.fullmatch(c) and c != "_") else f"&#{ord(c)};"
    for c in errors.one_paragraph(text)
  )


def code(text: str) -> str:
  """A name as code, whatever characters it has."""
  if text and PLAIN.fullmatch(text):
    return f"`{text}`"
  return f"<code>{escape(text)}</code>"


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
# For texts: embeddings are no kernels, but hold most of the bytes.
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
    The table, without the `YOUNG` columns that are empty in every row.
  """
  cells = {
    title: [cell(runs) for runs in groups.values()]
    for title, cell in columns.items()
  }
  cells = {k: c for k, c in cells.items() if any(c) or k not in YOUNG}
  lines = [_line([head, *cells]), "|---" * (len(cells) + 1) + "|\n"]
  for name, *row in zip(groups, *cells.values()):
    lines.append(_line([code(name), *row]))
  return "".join(lines)


def _line(cells: Iterable[str]) -> str:
  return f"| {' | '.join(c.replace('|', PIPE) for c in cells)} |\n"


def records(path: os.PathLike) -> list[dict[str, Any]]:
  """The records of a file, each with the figures that a table shows.

  Raises:
    UserError: a record lacks one; the message names file, line and field.
  """
  found = list(record_lib.read(path))
  for number, record in enumerate(found, 1):
    for part, field in SHOWN:
      value = record[part].get(field)
      if not isinstance(value, int | float) or isinstance(value, bool):
        raise UserError(
          f"{path}, line {number}: `{part}.{field}` must be a number, which the"
          f" table shows; got {value!r}."
        )
  return found


__getattr__ = deprecated.old_names(
  __name__,
  {
    "makers": "bnnjax.report.pages.makers",
    "refresh": "bnnjax.report.pages.refresh",
  },
)
