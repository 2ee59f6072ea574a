"""What the figures of a report mean, and meant in older records.

A record stores the version of its definitions. Their current text is in the
docstrings of `metrics`, the text of older versions here.
"""

from collections.abc import Mapping
from typing import Any

from bnnjax.cost.metrics import METRICS

# Columns of tables that are not figures.
_COLUMNS = {
  "W, A": (
    "bits of weight and activation; an untagged operand has its dtype's width"
  )
}
# Records store this number. To change a definition, increase it and keep the old
# text in `_BEFORE[old version]`, by label.
VERSION = 1
_BEFORE: dict[int, dict[str, str]] = {}


def text(version: int = VERSION) -> dict[str, str]:
  """What every figure means, or meant in a record of an older version.

  Raises:
    ValueError: no such version.
  """
  if version not in range(1, VERSION + 1):
    raise ValueError(
      f"No definitions of version {version!r}: this bnnjax knows 1 to {VERSION}."
      " A later one wrote that record."
    )
  shown = [f for f in METRICS.values() if f.label and f.definition]
  out = _COLUMNS | {f.label: f.definition for f in shown}
  for older in range(VERSION - 1, version - 1, -1):
    out |= _BEFORE[older]
  return out


def of_cost(cost: Mapping[str, Any]) -> Mapping[str, str]:
  """The definitions of a recorded cost; the first records hold the text."""
  found = cost["definitions"]
  return found if isinstance(found, Mapping) else text(found)


def page() -> str:
  """`docs/cost_metrics.md`."""
  lines = [
    "# Figures of a cost report\n",
    "Generated from `bnnjax/cost/metrics.py`; do not edit. Keys are those of"
    " `report.to_json()` and of the `cost` of a record.\n",
    "| key | in tables | unit | definition |",
    "|---|---|---|---|",
  ]
  for key, f in METRICS.items():
    lines.append(f"| `{key}` | {f.label} | {f.unit} | {f.definition} |")
  return "\n".join(lines) + "\n"
