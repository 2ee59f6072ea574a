"""The figure of a table."""

import pytest

from bnnjax.errors import UserError
from bnnjax.report.runs import Runs
from tests.report import pareto_records

GOOD, BAD = [91.0, 91.2, 91.1], [80.0, 80.1, 80.2]


def drawn(**values):
  records = [
    record
    for name, found in values.items()
    for record in pareto_records.make(name, found)
  ]
  table = Runs(records).table()
  return table, table.plot()


def bars(figure):
  """Ends of the bars."""
  (ax,) = figure.axes
  return [
    segment[:, 0]
    for container in ax.containers
    for collection in container.lines[2]
    for segment in collection.get_segments()
  ]


def test_bars_overlap_where_rows_do_not_differ():
  table, figure = drawn(good=GOOD, bad=BAD, fair=[91.0, 91.1, 91.1])
  (ax,) = figure.axes
  assert [t.get_text() for t in ax.get_yticklabels()] == ["good", "fair", "bad"]
  good, fair, bad = bars(figure)
  assert good[0] < fair[1]  # overlap
  assert bad[1] < fair[0]
  fit = table.sections[0].fit
  assert not fit.difference("good", "fair").differs
  assert fit.difference("fair", "bad").differs
  low, high = fit.difference("good", "bad")[1:]
  assert good[1] - good[0] == pytest.approx((high - low) / 2)
  assert "do not overlap differ" in ax.get_xlabel()
  assert figure._repr_png_().startswith(b"\x89PNG")  # in a notebook


def test_without_intervals_there_are_no_bars():
  _, figure = drawn(good=GOOD[:1], bad=BAD[:1])
  assert not bars(figure)
  assert "no intervals" in figure.axes[0].get_xlabel()
  _, figure = drawn(good=GOOD, bad=BAD[:2])  # bars would have other lengths
  assert not bars(figure)


def test_no_text_is_cut_beside_long_names():
  records = [
    record
    for name in ("pokebnn / half_shift|fixed(value=3.0)", "x")
    for record in pareto_records.make(
      name, GOOD, data={"eval_split": "train[9000:10000]", "name": "n" * 30}
    )
  ]
  figure = Runs(records).table().plot()
  figure.draw_without_rendering()
  (ax,) = figure.axes
  titles = [t for t in ax.get_children() if getattr(t, "get_text", str)()]
  for text in (ax.xaxis.label, *titles):
    box = text.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width, text


def test_it_is_written(tmp_path):
  table, _ = drawn(good=GOOD, bad=BAD)
  table.plot(tmp_path / "x.svg")
  assert "<svg" in (tmp_path / "x.svg").read_text()
  with pytest.raises(UserError, match=r"svg, pdf, png.*x\.jpeg"):
    table.plot(tmp_path / "x.jpeg")
