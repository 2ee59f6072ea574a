"""Figures: equal files for equal points, whatever the person's settings."""

import io
import re
import sys

import numpy as np
import pytest
from PIL import Image

from bnnjax.errors import UserError
from bnnjax.report.figures import figure
from bnnjax.report.figures.panel import Mark, Panel

PANEL = Panel(
  "a task of $x$ & <y>",
  "ACE",
  "accuracy, %",
  [
    Mark(1e6, 80.0, "one", "one", bar=1.0, line=True),
    Mark(1e8, 85.0, "two", "two_{x}", line=True),
    Mark(1e8, 70.0, "one", "one", bar=0.0, hollow=True),
  ],
)


def test_files_do_not_depend_on_the_time_or_on_settings():
  import matplotlib

  first = figure.render([PANEL], ["A note."])
  with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "none"}):
    again = figure.render([PANEL], ["A note."])
  assert first == again
  assert not re.search(rb"20\d\d-\d\d|[Mm]atplotlib v", first["svg"])
  assert b"CreationDate" not in first["pdf"]
  assert b"Producer" not in first["pdf"]
  image = Image.open(io.BytesIO(first["png"]))
  assert image.width == 1005  # 3.35 inches of 300 dots
  assert set(image.info) == {"dpi"}
  assert np.asarray(image.convert("L")).min() < 50


def test_the_smallest_text_has_seven_points():
  drawn = figure.draw([PANEL, PANEL], ["A note."])
  texts = [t for t in drawn.findobj(lambda a: hasattr(a, "get_fontsize"))]
  assert min(t.get_fontsize() for t in texts if t.get_text()) == 7.0
  assert drawn.get_figwidth() == pytest.approx(3.35)
  assert len(drawn.axes) == 2


def test_labels_are_not_read_as_formulas():
  drawn = figure.draw([PANEL])
  shown = {t.get_text() for t in drawn.axes[0].texts}
  assert shown == {"one", "two_{x}"}
  assert "a task of $x$ & <y>" in {t.get_text() for t in drawn.texts}


def test_each_series_has_its_own_colour_and_shape():
  marks = [Mark(1, 1, str(i)) for i in range(figure.MOST_SERIES)]
  found = figure.styles(marks)
  assert len(set(found.values())) == figure.MOST_SERIES
  more = [*marks, Mark(1, 1, "x", line=True)]
  found = figure.styles(more)
  assert found["x"] == (figure.COLOURS[0], figure.SHAPES[0])
  assert {found[str(i)][0] for i in range(20)} == {figure.GREY}


def test_without_matplotlib_the_extra_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, "matplotlib", None)
  with pytest.raises(UserError, match=r"pip install 'bnnjax\[plots\]'"):
    figure.render([PANEL])


def test_nothing_to_draw():
  with pytest.raises(UserError, match="nothing to draw"):
    figure.draw([])
