"""Draws panels of accuracy against cost, one column of a paper wide.

It needs the extra `plots` (matplotlib). Equal panels give equal files under
equal versions of matplotlib and its dependencies.
"""

import contextlib
import io
import os
import pathlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from bnnjax.errors import UserError
from bnnjax.report.figures import panel as panel_lib
from bnnjax.report.figures.panel import (
  AXES_HEIGHT,
  EDGE,
  LINE,
  WIDTH,
  Layout,
  Panel,
)

FORMATS = ("svg", "pdf", "png")
DPI = 300  # of the PNG
MOST_SERIES = 20  # that colours and shapes can tell apart
# Okabe and Ito's colours without yellow, which is too pale for text.
COLOURS = (
  "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000",
)  # fmt: skip
SHAPES = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
SIZE, SMALL = 4.6, 3.0  # diameter of a marker, and where there are many
MANY = 40  # points of a panel
GREY, DARK, GRID = "#8c8c8c", "#4d4d4d", "#e4e4e4"
STYLE = {
  "font.family": ["DejaVu Sans"],  # comes with matplotlib
  "font.size": panel_lib.FONT,
  "axes.linewidth": 0.6,
  "axes.edgecolor": DARK,
  "svg.fonttype": "path",
  "svg.hashsalt": "bnnjax",
  "pdf.fonttype": 42,  # conferences refuse Type 3 fonts
}
# Neither the time nor the version of matplotlib.
METADATA = {
  "svg": {"Date": None, "Creator": None},
  "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
  "png": {"Software": None},
}


def render(
  panels: Sequence[Panel],
  notes: Sequence[str] = (),
  formats: Sequence[str] = FORMATS,
) -> dict[str, bytes]:
  """Files of a figure, by format; see `draw`."""
  figure = draw(panels, notes)
  return {name: encode(figure, name) for name in formats}


def format_of(path: os.PathLike | str) -> str:
  """The format of a figure's file.

  Raises:
    UserError: the path ends in none of `FORMATS`.
  """
  ending = pathlib.Path(path).suffix.lstrip(".").lower()
  if ending not in FORMATS:
    raise UserError(
      f"A figure is written as {', '.join(FORMATS)}: give a path that ends in one"
      f" of them, got {os.fspath(path)!r}."
    )
  return ending


def encode(figure: Any, format: str) -> bytes:
  """The file of a figure, the same at any time and for all settings."""
  out = io.BytesIO()
  with style():
    figure.savefig(out, format=format, dpi="figure", metadata=METADATA[format])
  return out.getvalue()


def save(figure: Any, path: os.PathLike | str) -> None:
  """Writes a figure in the format of its ending, whole or not at all.

  Raises:
    UserError: see `format_of`.
  """
  path = pathlib.Path(path)
  draft = path.with_name(f"{path.name}.new")
  draft.write_bytes(encode(figure, format_of(path)))
  draft.replace(path)


def draw(panels: Sequence[Panel], notes: Sequence[str] = ()) -> Any:
  """A `matplotlib.figure.Figure` with the panels below each other.

  Args:
    panels: one at least.
    notes: below the last panel.

  Raises:
    UserError: matplotlib is missing, or there is no panel.
  """
  if not panels:
    why = " ".join(notes) or "There is no panel."
    raise UserError(f"There is nothing to draw. {why}")
  with style():
    text = panel_lib.Text()
    layouts = [Layout(panel, text) for panel in panels]
    left = max(layout.left for layout in layouts)
    for layout in layouts:
      layout.settle(left, _size(layout.panel) / 2)
    foot = [line for note in notes for line in text.wrap(note)]
    height = sum(x.height for x in layouts) + LINE * len(foot) + EDGE
    figure = new(figsize=(WIDTH / 72, height / 72), dpi=DPI)
    top = height
    for layout in layouts:
      _draw_panel(figure, layout, text, top, height)
      top -= layout.height
    _write(figure, foot, top, height, color=DARK)
    return figure


def new(**options: Any) -> Any:
  """A matplotlib figure; a notebook shows it without pyplot.

  Args:
    **options: of `matplotlib.figure.Figure`.
  """
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure

  class Shown(Figure):
    def _repr_png_(self) -> bytes:
      return encode(self, "png")

  figure = Shown(**options)
  FigureCanvasAgg(figure)
  return figure


@contextlib.contextmanager
def style() -> Iterator[None]:
  """Our settings, whatever those of the person are."""
  try:
    import matplotlib
  except ImportError as error:
    raise UserError(
      "Figures need matplotlib, which the extra `plots` installs:"
      " pip install 'bnnjax[plots]'."
    ) from error
  with matplotlib.rc_context():
    matplotlib.rcdefaults()
    matplotlib.rcParams.update(STYLE)
    yield


def styles(
  marks: Sequence[panel_lib.Mark], wanted: Collection[str] = ()
) -> dict[str, tuple[str, str]]:
  """Colour and shape of each series.

  Where there are more than can be told apart, those that are neither on the
  step line nor wanted are grey dots.
  """
  series = list(dict.fromkeys(m.series for m in marks))
  shown = series
  if len(series) > MOST_SERIES:
    line = {m.series for m in marks if m.line} | set(wanted)
    shown = [s for s in series if s in line][:MOST_SERIES]
  found = dict.fromkeys(series, (GREY, "."))
  for i, name in enumerate(shown):
    found[name] = COLOURS[i % len(COLOURS)], SHAPES[i % len(SHAPES)]
  return found


def _size(panel: Panel) -> float:
  return SIZE if len(panel.marks) <= MANY else SMALL


def _draw_panel(
  figure: Any, layout: Layout, text: panel_lib.Text, top: float, height: float
) -> None:
  """Draws a panel whose upper edge is `top` above the figure's lower edge."""
  panel, bottom = layout.panel, top - layout.above - AXES_HEIGHT
  axes = figure.add_axes(
    (
      layout.left / WIDTH,
      bottom / height,
      layout.width / WIDTH,
      AXES_HEIGHT / height,
    )
  )
  axes.set_xscale("log")
  axes.set_xlim(*(10**x for x in layout.x_limits))
  axes.set_ylim(*layout.y_limits)
  axes.minorticks_off()
  axes.set_xticks(list(layout.x_ticks), list(layout.x_ticks.values()))
  axes.set_yticks(list(layout.y_ticks), list(layout.y_ticks.values()))
  axes.tick_params(length=2.0, width=0.6, pad=2.0, color=DARK)
  axes.grid(color=GRID, linewidth=0.5)
  axes.set_axisbelow(True)
  axes.spines[["top", "right"]].set_visible(False)
  figure.text(
    (layout.left + layout.width / 2) / WIDTH,
    (bottom - panel_lib.TICK_LABEL - 1.0) / height,
    text.clean(panel.x_label),
    ha="center",
    va="top",
    parse_math=False,
  )
  figure.text(
    EDGE / WIDTH,
    (bottom + AXES_HEIGHT / 2) / height,
    text.clean(panel.y_label),
    ha="left",
    va="center",
    rotation=90,
    parse_math=False,
  )
  _write(figure, layout.title, top - 4.0, height, weight="bold")
  foot = bottom - panel_lib.TICK_LABEL - panel_lib.AXIS_LABEL - 2.0
  _write(figure, layout.notes, foot, height, color=DARK)
  _draw_marks(axes, layout)


def _write(
  figure: Any, lines: Sequence[str], top: float, height: float, **options: Any
) -> None:
  """Writes lines below each other from the left edge of the figure."""
  for number, line in enumerate(lines):
    y = (top - LINE * number) / height
    place = {"ha": "left", "va": "top", "parse_math": False}
    figure.text(EDGE / WIDTH, y, line, **place, **options)


def _draw_marks(axes: Any, layout: Layout) -> None:
  """Draws the step line, the points and their labels."""
  panel = layout.panel
  look = panel.look or styles(panel.marks)
  corners = panel_lib.steps(layout)
  if corners:
    axes.plot(*zip(*corners), color=GREY, linewidth=0.8, zorder=1.5)
  alike: dict[tuple, list[panel_lib.Mark]] = {}
  for mark in panel.marks:  # thousands of series may look the same
    key = look[mark.series], mark.hollow, bool(mark.bar)
    alike.setdefault(key, []).append(mark)
  for ((colour, shape), hollow, bars), marks in alike.items():
    axes.errorbar(
      [m.x for m in marks],
      [m.y for m in marks],
      yerr=[m.bar for m in marks] if bars else None,
      color=colour,
      marker=shape,
      markersize=_size(panel),
      markerfacecolor="white" if hollow else colour,
      markeredgecolor=colour,
      markeredgewidth=0.8,
      elinewidth=0.7,
      capsize=1.2 if bars else 0.0,
      capthick=0.7,
      linestyle="none",
      zorder=3 if hollow else 4,
    )
  colours = {m.name: look[m.series][0] for m in panel.marks}
  for name, (shown, place) in layout.places.items():
    _draw_label(axes, layout.width, shown, place, colours[name])


def _draw_label(
  axes: Any, width: float, shown: str, place: Any, colour: str
) -> None:
  left, bottom, right, top = place.box
  x, y = place.anchor
  if place.end is not None:
    axes.plot(
      [x / width, place.end[0] / width],
      [y / AXES_HEIGHT, place.end[1] / AXES_HEIGHT],
      transform=axes.transAxes,
      color=colour,
      linewidth=0.4,
      zorder=2,
    )
  axes.text(
    (left + right) / 2 / width,
    (bottom + top) / 2 / AXES_HEIGHT,
    shown,
    transform=axes.transAxes,
    color=_darker(colour),
    ha="center",
    va="center_baseline",
    zorder=5,
    parse_math=False,
  )


def _darker(colour: str) -> str:
  """Text needs more contrast than a marker."""
  channels = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
  return "#" + "".join(f"{round(0.72 * c):02x}" for c in channels)
