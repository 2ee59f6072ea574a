"""Draws the rows of a table: seeds, means, and which rows differ."""

import os
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bnnjax.report import row as row_lib
from bnnjax.report.figures import figure, ticks

if TYPE_CHECKING:
  from bnnjax.report.table import Section, Table

WIDTH, ROW, REST = 6.5, 0.45, 1.65  # inches; the rest: title, axis and note
DPI = 110
TITLE = 46  # characters of a line
COLOUR = figure.COLOURS[0]
NOTES = {
  True: "Dots: seeds. Diamonds: means.\nRows whose bars do not overlap differ\n"
  "(95 % confidence, all rows together).",
  False: "Dots: seeds. Diamonds: means. There are no intervals.",
}


def plot(table: "Table", path: os.PathLike | str | None = None) -> Any:
  """Draws the rows below each other, the best on top.

  A bar is half an interval of a difference long, on each side of the mean: two
  bars overlap where the interval of the difference contains 0. It needs rows
  with the same seeds.

  Args:
    table: its sections become panels.
    path: also write the figure: `.svg`, `.pdf` or `.png`.

  Returns:
    The `matplotlib.figure.Figure`.

  Raises:
    UserError: matplotlib is missing, or the file has another ending.
  """
  if path:
    figure.format_of(path)  # raises before anything is drawn
  heights = [REST + ROW * len(section.rows) for section in table.sections]
  with figure.style():
    size = (WIDTH, sum(heights))
    drawn = figure.new(figsize=size, dpi=DPI, layout="constrained")
    axes = drawn.subplots(
      len(heights), squeeze=False, height_ratios=heights
    ).flat
    for ax, section in zip(axes, table.sections):
      _draw(ax, section)
  if path:
    figure.save(drawn, path)
  return drawn


def _draw(ax: Any, section: "Section") -> None:
  """A panel: one task."""
  values = {
    row.label: row_lib.by_seed(row.runs, section.metric) for row in section.rows
  }
  half = _half(section, values)
  for place, row in enumerate(section.rows):
    seeds = list(values[row.label].values())
    ax.plot(seeds, [place + 0.2] * len(seeds), "o", color=figure.GREY, ms=4)
    ax.errorbar(
      row.mean, place, xerr=half, fmt="D", color=COLOUR, ms=7, capsize=4, lw=2
    )
  costs = {row.costs["ace"] for row in section.rows}
  names = [
    f"{row.label}\nACE {ticks.in_units(row.costs['ace'])}"
    if len(costs) > 1 and row.costs["ace"]
    else row.label
    for row in section.rows
  ]
  ax.set_yticks(range(len(names)), names, fontsize=10, parse_math=False)
  ax.set_ylim(len(names) - 0.5, -0.5)
  ax.tick_params(axis="x", labelsize=9)
  ax.set_xlabel(
    f"{section.metric.label}\n{NOTES[half is not None]}", fontsize=9
  )
  title = textwrap.fill(section.task, TITLE)
  ax.set_title(title, fontsize=10, loc="left", parse_math=False)
  ax.grid(axis="x", color=figure.GRID)
  ax.set_axisbelow(True)
  ax.spines[["top", "right"]].set_visible(False)


def _half(
  section: "Section", values: Mapping[str, Mapping[int, float]]
) -> float | None:
  """Half the half-width of the differences; `None` without intervals."""
  same_seeds = len({tuple(sorted(v)) for v in values.values()}) == 1
  if section.fit is None or len(values) < 2 or not same_seeds:
    return None
  first, second, *_ = values
  found = section.fit.difference(first, second)
  return None if found is None else (found.high - found.low) / 4
