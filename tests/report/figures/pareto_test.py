"""What a Pareto figure shows and says."""

import pytest

from bnnjax.errors import UserError
from bnnjax.report import pareto, published
from bnnjax.report.figures import pareto as pareto_figure
from bnnjax.report.runs import Runs
from tests.report import pareto_records


def records():
  return [
    *pareto_records.make("one", [89.1, 89.9, 91.0], bops=3),
    *pareto_records.make("two", [79.0, 80.1, 80.9], bops=3),
    *pareto_records.make("float", [91.0, 92.0, 93.1], ace=9000),
  ]


def test_marks_and_notes():
  found = pareto.make(records())
  [panel] = pareto_figure.panels(found)
  assert panel.title == "digits, train"
  assert panel.x_label == "ACE, 1-bit MACs per example"
  assert panel.y_label == "test accuracy, %"
  shown = {m.name: (m.x, m.line, m.hollow) for m in panel.marks}
  assert shown == {
    "one": (1000, True, False),
    "float": (9000, True, False),
    "two": (1000, False, True),
  }
  assert panel.marks[0].bar == pytest.approx(found.panels[0].points[0].spread)
  assert pareto_figure.notes(found) == [
    "Bars: standard deviation over seeds. Open: a point that costs no more is"
    " better beyond the simultaneous 95 % interval of the difference."
  ]


def test_one_seed_has_no_bars_and_no_interval():
  single = [r for r in records() if r["seed"] == 0]
  found = pareto.make(single)
  assert pareto_figure.notes(found) == [
    "Open: a point that costs no more is better."
  ]
  [panel] = pareto_figure.panels(found)
  assert {m.bar for m in panel.marks} == {None}


def test_points_that_are_not_drawn_are_named():
  found = pareto.make(records(), "bops")
  [panel] = pareto_figure.panels(found)
  assert panel.notes == ["Not drawn (0 BOPs, which has no logarithm): float."]
  nothing = pareto.make(records()[6:], "bops")
  assert pareto_figure.panels(nothing) == []
  assert pareto_figure.notes(nothing) == [
    "No panel of digits, train (0 BOPs, which has no logarithm): float."
  ]
  with pytest.raises(
    UserError, match="nothing to draw. No panel of digits, train"
  ):
    nothing.plot()


def test_a_method_looks_the_same_in_every_panel():
  other = pareto_records.make("two", [50], data={"name": "other"})
  one, two = pareto_figure.panels(pareto.make(records() + other))
  assert one.look == two.look


def test_many_series_are_grey_and_counted():
  many = [r for i in range(25) for r in pareto_records.make(f"m{i}", [50 - i])]
  twin = pareto_records.make(
    "twin", [20], ace=9000, cost={"macs": {"w32a32": 10}}
  )
  [panel] = pareto_figure.panels(pareto.make(many + twin))
  # The front, and the float network although it is not on it.
  assert [m.name for m in panel.marks if m.name] == ["m0", "twin"]
  assert "Grey: 24 other series, see the table." in panel.notes


def test_published_points_have_axes_of_their_own():
  found = pareto.make(records())
  ours, theirs = pareto_figure.panels(found, with_published=True)
  assert theirs.y_label == "top-1 accuracy, %"
  names = {m.name for m in theirs.marks}
  assert "PokeBNN-1.0x" in names
  assert not names & {m.name for m in ours.marks}
  assert {m.bar for m in theirs.marks} == {None}
  assert all(origin in theirs.notes[0] for origin in (
    published.PRINTED, published.FROM_MACS, published.COUNTED
  ))  # fmt: skip
  with pytest.raises(UserError, match="shown against ACE"):
    pareto_figure.panels(pareto.make(records(), "bops"), with_published=True)


def test_writing_a_figure(tmp_path):
  runs = Runs(records())
  path = tmp_path / "x.svg"
  drawn = runs.plot(path, x="bops")
  assert len(drawn.axes) == 1
  assert path.read_bytes().startswith(b"<?xml")
  assert [p.name for p in tmp_path.iterdir()] == ["x.svg"]
  with pytest.raises(UserError, match="ends in one of them"):
    runs.plot(tmp_path / "x.gif")


@pytest.mark.parametrize("split", [[], {"a": 1}, ["test"]])
def test_a_split_of_any_kind_is_drawn(split):
  made = records()
  for record in made:
    record["config"]["data"]["eval_split"] = split
  [panel] = pareto_figure.panels(pareto.make(made))
  assert panel.y_label in ("accuracy, %", "test accuracy, %")
