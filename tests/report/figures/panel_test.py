"""What stands where in a panel."""

import math

import pytest

from bnnjax.errors import UserError
from bnnjax.report.figures import panel
from bnnjax.report.figures.panel import Layout, Mark, Panel


def made(*marks, **options):
  return Panel("a task", "ACE", "accuracy, %", marks, **options)


@pytest.mark.parametrize(
  "mark",
  [
    Mark(0.0, 1.0, "a"),
    Mark(-1.0, 1.0, "a"),
    Mark(math.inf, 1.0, "a"),
    Mark(1.0, math.nan, "a"),
    Mark(1.0, 1.0, "a", bar=math.nan),
  ],
)
def test_points_that_a_logarithmic_axis_does_not_have(mark):
  with pytest.raises(UserError, match="'a' of 'a task' cannot be drawn"):
    made(mark)


def test_a_panel_has_a_point():
  with pytest.raises(UserError, match="no point to draw"):
    made()


def test_the_step_line_keeps_the_best_until_the_next_point():
  marks = [Mark(10, 1, "a", line=True), Mark(100, 3, "b", line=True)]
  marks.append(Mark(20, 0, "c"))
  layout = Layout(made(*marks), panel.Text())
  end = 10 ** (2 + 0.08)  # 8 % of a decade
  corners = [(10, 1), (100, 1), (100, 3), (end, 3)]
  assert panel.steps(layout) == [pytest.approx(c) for c in corners]


def test_limits_hold_the_error_bars_of_one_point():
  layout = Layout(made(Mark(100, 50, "a", bar=5.0)), panel.Text())
  assert layout.y_limits == pytest.approx((44.2, 55.8))
  assert layout.x_limits == pytest.approx((1.92, 2.08))
  flat = Layout(made(Mark(100, 50, "a")), panel.Text())
  assert flat.y_limits == pytest.approx((47.5, 52.5))


def test_labels_without_room_are_named_below():
  marks = [Mark(100, 50, "a", f"{i} {'long' * 6}") for i in range(40)]
  layout = Layout(made(*marks, notes=["A note."]), panel.Text())
  layout.settle(30.0, 2.0)
  assert 0 < len(layout.places) < 40
  said = " ".join(layout.notes)
  assert said.startswith("A note. No room for the labels")
  assert said.endswith(
    f"and {40 - len(layout.places) - 8} more: see the table."
  )


def test_text_that_the_font_lacks_is_escaped_and_long_words_are_broken():
  text = panel.Text()
  assert text.clean("a\n日 é\x00") == "a \\u65e5 é\\x00"
  lines = text.wrap("word " + "x" * 100)
  assert lines[0] == "word"
  assert "".join(lines[1:]) == "x" * 100
  assert all(text.width(line) <= panel.WIDTH - 2 * panel.EDGE for line in lines)


def test_short_names_differ():
  names = ["a" * 40, "a" * 39 + "b", "c"]
  assert panel.shorten(names, 7) == ["aaa…aaa", "aaa…aab", "c"]
  assert panel.shorten(["x" * 9 + "1", "x" * 8 + "y1"], 4) == [
    "xx…1 (1)", "xx…1 (2)",
  ]  # fmt: skip
