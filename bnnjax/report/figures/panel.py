"""One panel of a figure: its points, and where everything stands in it.

Lengths are in points (1/72 inch).
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence

from bnnjax import errors
from bnnjax.errors import UserError
from bnnjax.report.figures import labels, ticks

WIDTH = 3.35 * 72  # a column of most conferences
FONT = 7.0  # the smallest size that conferences ask for
LINE = 8.6  # height of a line of text
AXES_HEIGHT = 165.0
EDGE = 6.0  # of the figure
TICK_LABEL, AXIS_LABEL = 11.0, 10.0
LONGEST = 30  # characters of a label
ANCHORS = 12  # points that a label may stand beside
MANY, CELL = (
  500,
  5.0,
)  # obstacles, above which cells of this side stand for them


@dataclasses.dataclass(frozen=True)
class Mark:
  """A point.

  Attributes:
    x: cost, positive.
    y: accuracy or another metric.
    series: what shares a colour and a shape.
    name: the label; marks of one name share it. Empty for none.
    bar: half of the error bar; `None` for none.
    hollow: whether only its outline is drawn.
    line: whether the step line goes through it.
  """

  x: float
  y: float
  series: str
  name: str = ""
  bar: float | None = None
  hollow: bool = False
  line: bool = False


@dataclasses.dataclass(frozen=True)
class Panel:
  """Axes of their own.

  Attributes:
    title: above the axes.
    x_label: of the logarithmic axis.
    y_label: of the linear axis.
    marks: the points; those whose label matters most come first.
    notes: below the axes.
    higher: whether a larger y is better.
    look: colour and shape of each series, by default those that
      `figure.styles` gives it.
  """

  title: str
  x_label: str
  y_label: str
  marks: Sequence[Mark]
  notes: Sequence[str] = ()
  higher: bool = True
  look: Mapping[str, tuple[str, str]] | None = None

  def __post_init__(self):
    if not self.marks:
      raise UserError(f"The panel {self.title!r} has no point to draw.")
    for mark in self.marks:
      numbers = (mark.x, mark.y, mark.bar or 0.0)
      if not all(map(math.isfinite, numbers)) or mark.x <= 0:
        raise UserError(
          f"The point {mark.name or mark.series!r} of {self.title!r} cannot be"
          f" drawn: its cost must be positive and all its numbers finite, got"
          f" {mark.x} and {mark.y} +/- {mark.bar}."
        )


class Text:
  """Widths of texts, and texts as the font can show them."""

  def __init__(self):
    from matplotlib import font_manager
    from matplotlib.backends.backend_agg import RendererAgg

    self._renderer = RendererAgg(16, 16, 72)
    self._fonts = {
      weight: font_manager.FontProperties(size=FONT, weight=weight)
      for weight in ("normal", "bold")
    }
    path = font_manager.findfont(self._fonts["normal"])
    self._glyphs = font_manager.get_font(path).get_charmap()

  def clean(self, text: str) -> str:
    """One line; a character that the font lacks becomes its escape."""
    return "".join(
      c if ord(c) in self._glyphs else ascii(c)[1:-1]
      for c in errors.one_paragraph(text)
    )

  def width(self, text: str, weight: str = "normal") -> float:
    """Of a line of text."""
    return self._renderer.get_text_width_height_descent(
      text, self._fonts[weight], ismath=False
    )[0]

  def wrap(self, text: str, weight: str = "normal") -> list[str]:
    """Lines that fit into the column; a word that does not is broken."""
    width = WIDTH - 2 * EDGE
    lines = [""]
    for word in self.clean(text).split():
      joined = f"{lines[-1]} {word}".strip()
      if self.width(joined, weight) <= width:
        lines[-1] = joined
        continue
      if lines[-1]:
        lines.append("")
      for letter in word:
        if self.width(lines[-1] + letter, weight) > width:
          lines.append("")
        lines[-1] += letter
    return [line for line in lines if line]


class Layout:
  """Limits, ticks, lines of text and places of labels of a panel.

  Attributes:
    x_limits: of the cost's decimal logarithm.
    y_limits: of the metric.
    x_ticks: positions and their names.
    y_ticks: positions and their names.
    left: from the figure's edge to the axes, which needs no more.
    places: of the labels, by the name of the marks: what is written and where,
      seen from the lower left corner of the axes.
  """

  def __init__(self, panel: Panel, text: Text):
    self.panel, self._text = panel, text
    costs = [m.x for m in panel.marks]
    low, high = math.log10(min(costs)), math.log10(max(costs))
    margin = max(0.08 * (high - low), 0.08)
    self.x_limits = low - margin, high + margin
    ends = [m.y + s * (m.bar or 0.0) for m in panel.marks for s in (-1, 1)]
    low, high = min(ends), max(ends)
    # One point, or equal ones, get a range that their size suggests.
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    self.y_limits = low - margin, high + margin
    self.x_ticks = ticks.of_costs(
      10 ** self.x_limits[0], 10 ** self.x_limits[1]
    )
    self.y_ticks = ticks.linear(*self.y_limits, 5)
    widest = max(
      (text.width(name) for name in self.y_ticks.values()), default=0
    )
    self.left = EDGE + AXIS_LABEL + 1.0 + widest + 4.0
    self.title = text.wrap(panel.title, "bold")
    self.places: dict[str, tuple[str, labels.Place]] = {}
    self.notes: list[str] = []

  def settle(self, left: float, half: float) -> None:
    """Places the labels, and says below the axes which ones found no room.

    Args:
      left: from the figure's edge to the axes.
      half: of a marker's size.
    """
    self.left, self.width = left, WIDTH - left - EDGE
    names = list(dict.fromkeys(m.name for m in self.panel.marks if m.name))
    shown = dict(zip(names, shorten([self._text.clean(n) for n in names])))
    found = labels.place(
      [self._label(name, shown[name]) for name in names],
      self._obstacles(half),
      (0.0, 0.0, self.width + EDGE - 1.0, AXES_HEIGHT + 2.0),
      self._steps(),
    )
    self.places = {
      n: (shown[n], place) for n, place in zip(names, found) if place
    }
    notes = list(self.panel.notes)
    if lost := [shown[n] for n in names if n not in self.places]:
      more = f" and {len(lost) - 8} more" if len(lost) > 8 else ""
      notes.append(
        f"No room for the labels {', '.join(lost[:8])}{more}: see the table."
      )
    self.notes = [line for note in notes for line in self._text.wrap(note)]

  @property
  def above(self) -> float:
    """Height of what stands above the axes."""
    return 4.0 + LINE * len(self.title) + 4.0

  @property
  def height(self) -> float:
    """Of all."""
    below = TICK_LABEL + AXIS_LABEL + LINE * len(self.notes) + 7.0
    return self.above + AXES_HEIGHT + below

  def at(self, x: float, y: float) -> tuple[float, float]:
    """Where a point of the data stands in the axes."""
    (low, high), (least, most) = self.x_limits, self.y_limits
    across = (math.log10(x) - low) / (high - low)
    return across * self.width, (y - least) / (most - least) * AXES_HEIGHT

  def _label(self, name: str, shown: str) -> labels.Label:
    marks = [m for m in self.panel.marks if m.name == name]
    marks.sort(key=lambda m: (not m.line, m.hollow, m.x, m.y))
    width = self._text.width(shown) + 1.0
    return labels.Label(
      width, FONT, [self.at(m.x, m.y) for m in marks[:ANCHORS]]
    )

  def _obstacles(self, half: float) -> list[labels.Box]:
    """What labels may not cover; of very many points, the cells they fill."""
    boxes = [b for mark in self.panel.marks for b in self._covered(mark, half)]
    if len(boxes) <= MANY:
      return boxes
    cells = {(round(x0 / CELL), round(y0 / CELL)) for x0, y0, *_ in boxes}
    return [
      (i * CELL, j * CELL, (i + 1) * CELL, (j + 1) * CELL)
      for i, j in sorted(cells)
    ]

  def _covered(self, mark: Mark, half: float) -> list[labels.Box]:
    x, y = self.at(mark.x, mark.y)
    half += 0.6
    boxes = [(x - half, y - half, x + half, y + half)]
    if mark.bar:
      low, high = (self.at(mark.x, mark.y + s * mark.bar)[1] for s in (-1, 1))
      boxes.append((x - 1.5, low, x + 1.5, high))
    return boxes

  def _steps(self) -> list[labels.Box]:
    """The step line as boxes."""
    corners = [self.at(*corner) for corner in steps(self)]
    return [
      (
        min(a[0], b[0]) - 0.5,
        min(a[1], b[1]) - 0.5,
        max(a[0], b[0]) + 0.5,
        max(a[1], b[1]) + 0.5,
      )
      for a, b in itertools.pairwise(corners)
    ]


def steps(layout: Layout) -> list[tuple[float, float]]:
  """Corners of the step line: the best that is reached at each cost."""
  best: dict[float, float] = {}
  choose = max if layout.panel.higher else min
  for mark in layout.panel.marks:
    if mark.line:
      best[mark.x] = choose(mark.y, best.get(mark.x, mark.y))
  corners: list[tuple[float, float]] = []
  for x, y in sorted(best.items()):
    if corners:
      corners.append((x, corners[-1][1]))
    corners.append((x, y))
  if corners:
    corners.append((10 ** layout.x_limits[1], corners[-1][1]))
  return corners


def shorten(names: Sequence[str], most: int = LONGEST) -> list[str]:
  """Names of at most so many characters, all of them different.

  Example:
    >>> shorten(["a" * 9 + "x", "b"], most=7)
    ['aaa…aax', 'b']
  """
  half = most // 2
  short = [
    n if len(n) <= most else f"{n[:half]}…{n[len(n) - (most - half - 1) :]}"
    for n in names
  ]
  return [
    s if short.count(s) == 1 else f"{s} ({short[: i + 1].count(s)})"
    for i, s in enumerate(short)
  ]
