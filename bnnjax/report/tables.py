"""Tables of records: mean and spread over seeds, beside the cost."""

import json
import re
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from etils import epath

from bnnjax.report import record as record_lib

MARKER = re.compile(r"<!-- results: (\S+) -->\n.*?<!-- /results -->\n", re.S)


def group(records: Iterable[Mapping[str, Any]]) -> dict[str, list[dict]]:
  """Records by name, those that differ only in the seed together.

  Runs of one name whose configs differ in more (an override on the command
  line) are told apart by a number.
  """
  configs: dict[str, list[str]] = {}
  groups: dict[str, list[dict]] = {}
  for record in records:
    name = re.sub(r"-seed=\d+", "", record["name"])
    config = {k: v for k, v in record["config"].items() if k != "seed"}
    text = json.dumps(config, sort_keys=True)
    seen = configs.setdefault(name, [])
    if text not in seen:
      seen.append(text)
    number = seen.index(text)
    key = name if not number else f"{name} ({number + 1})"
    groups.setdefault(key, []).append(dict(record))
  return groups


def spread(values: list[float]) -> str:
  """`mean +/- standard deviation (n=...)`, in percent of a fraction."""
  mean = 100 * statistics.fmean(values)
  if len(values) == 1:
    return f"{mean:.2f} (n=1)"
  deviation = 100 * statistics.stdev(values)
  return f"{mean:.2f} ± {deviation:.2f} (n={len(values)})"


def results(records: Iterable[Mapping[str, Any]]) -> str:
  """A markdown table, a row for each config.

  Returns:
    Test accuracy of the deployed network after the last step (mean and
    standard deviation over seeds), cost for one example, training time.
  """
  rows = [
    "| config | test accuracy, % | ACE | BOPs | weight bytes | minutes | device |",
    "|---|---|---|---|---|---|---|",
  ]
  for name, runs in group(records).items():
    cost = runs[0]["cost"]
    minutes = statistics.median(r["wall_seconds"] for r in runs) / 60
    cells = (
      f"`{name}`",
      spread([r["metrics"]["accuracy"] for r in runs]),
      f"{cost['ace']:,}",
      f"{cost['bops']:,}",
      f"{cost['weight_bytes']:,}",
      f"{minutes:.1f}",
      ", ".join(sorted({r["device"] for r in runs})),
    )
    rows.append(f"| {' | '.join(cells)} |")
  return "\n".join(rows) + "\n"


def refresh(text: str, root: epath.PathLike) -> str:
  """Regenerates every table between `<!-- results: FILE -->` markers.

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
    lines = results(record_lib.read(path))
    return f"<!-- results: {match.group(1)} -->\n{lines}<!-- /results -->\n"

  return MARKER.sub(table, text)
