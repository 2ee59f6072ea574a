"""Fronts, and which points are dominated, by hand."""

import types

import pytest

from bnnjax.errors import UserError
from bnnjax.report import pareto, statistics
from tests.report import pareto_records


def at(*pairs):
  return [types.SimpleNamespace(x=x, y=y) for x, y in pairs]


def pairs(points):
  return [(p.x, p.y) for p in points]


def test_the_front():
  points = at((3, 5), (1, 1), (2, 4), (2, 3), (4, 5), (5, 4), (6, 6))
  assert pairs(pareto.front(points)) == [(1, 1), (2, 4), (3, 5), (6, 6)]
  lowest = pareto.front(points, higher=False)
  assert pairs(lowest) == [(1, 1)]
  assert pareto.front([]) == []


def test_equal_points_are_all_on_the_front_or_none_is():
  assert pairs(pareto.front(at((1, 1), (1, 1), (2, 1)))) == [(1, 1), (1, 1)]
  assert pairs(pareto.front(at((1, 2), (2, 1), (2, 1)))) == [(1, 2)]


def states(panel):
  return {p.label: p.state for p in panel.points}


def test_dominated_beyond_the_interval():
  # Method effects 90, 89.9 and 80, seed effects -1, 0, 1, and a little noise.
  records = [
    *pareto_records.make("best", [89.1, 89.9, 91.0]),
    *pareto_records.make("near", [88.8, 90.0, 90.9]),
    *pareto_records.make("far", [79.0, 80.1, 80.9]),
    *pareto_records.make("dear", [89.0, 90.1, 90.8], ace=5000),
    *pareto_records.make("cheap", [69.0, 70.1, 70.9], ace=10),
  ]
  [panel] = pareto.make(records).panels
  assert states(panel) == {
    "best": "front",
    "near": "not separated",
    "far": "dominated",
    "dear": "not separated",
    "cheap": "front",
  }
  beaten = {p.label: p.beaten_by for p in panel.points}
  assert beaten["far"] == "best"
  assert not beaten["near"]
  assert [p.label for p in panel.front] == ["cheap", "best"]
  assert not panel.by_means
  assert panel.notes == []
  # The same, from the intervals.
  fit = statistics.two_way({p.label: p.values for p in panel.points})
  assert fit.difference("best", "far").low > 0
  assert not fit.difference("best", "near").differs


def test_one_seed_each_is_decided_by_the_means_and_says_so():
  records = [
    *pareto_records.make("a", [50]),
    *pareto_records.make("b", [49.99]),
    *pareto_records.make("c", [49.99], ace=2000),
  ]
  [panel] = pareto.make(records).panels
  assert states(panel) == {"a": "front", "b": "dominated", "c": "dominated"}
  assert panel.by_means
  assert panel.notes == [
    "Dominated by the means alone: every row has one seed."
  ]
  [alone] = pareto.make(records[:1]).panels
  assert states(alone) == {"a": "front"}
  assert alone.notes == []


def test_different_spreads_are_said():
  records = [
    *pareto_records.make("a", [50, 50.01, 50.02]),
    *pareto_records.make("b", [40, 60, 50], ace=2000),
  ]
  [panel] = pareto.make(records).panels
  assert panel.notes == [
    "Spreads differ (Bartlett's test, p < 0.05); the intervals pool them."
  ]


def test_many_points_are_decided_by_the_means(monkeypatch):
  monkeypatch.setattr(statistics, "MOST_METHODS", 2)
  records = [
    *pareto_records.make("a", [50, 51]),
    *pareto_records.make("b", [50, 51]),
    *pareto_records.make("c", [49, 50]),
  ]
  [panel] = pareto.make(records).panels
  assert states(panel) == {"a": "front", "b": "front", "c": "dominated"}
  assert panel.notes == [
    "Dominated by the means alone: there are more than 2 points."
  ]


def test_lower_is_better_for_a_loss():
  records = [
    *pareto_records.make("a", [50], metrics={"loss": 2.0}),
    *pareto_records.make("b", [60], metrics={"loss": 3.0}),
  ]
  [panel] = pareto.make(records, y="loss").panels
  assert states(panel) == {"a": "front", "b": "dominated"}
  records[0]["metrics"]["flips"] = 1.0
  with pytest.raises(UserError, match="says neither"):
    pareto.make(records, y="flips")


def test_what_has_no_place_on_the_axis_is_listed():
  records = [
    *pareto_records.make("binary", [50], bops=7),
    *pareto_records.make("float", [60], bops=0),
    *pareto_records.make("old", [55]),
    *pareto_records.make("odd", [55]),
  ]
  records[2]["cost"].pop("bops")
  records[3]["metrics"] = {"flips": 1.0}
  [panel] = pareto.make(records, "bops").panels
  # The float network does not dominate: it has no binary operations at all.
  assert states(panel) == {"binary": "front"}
  assert panel.left_out == [
    ("float", "0 BOPs, which has no logarithm"),
    ("old", "no BOPs on record"),
    ("odd", "no accuracy on record"),
  ]


def test_tasks_have_panels_of_their_own_with_their_metrics():
  records = [
    *pareto_records.make("a", [50]),
    *pareto_records.make("b", [50], data={"train_split": "train[:100]"}),
    *pareto_records.make(
      "c", [1], data={"name": "plays"}, metrics={"bits_per_char": 2.5}
    ),
  ]
  found = pareto.make(records)
  assert [(p.task, p.metric.name) for p in found.panels] == [
    ("digits, train", "accuracy"),
    ("digits, train[:100]", "accuracy"),
    ("plays, train", "bits_per_char"),
  ]


def test_times_of_different_devices_are_named():
  one, two = pareto_records.make("a", [50]) + pareto_records.make("b", [60])
  one |= {"cpu_seconds": 1.0}
  two |= {"cpu_seconds": 2.0, "device": "1 x gpu"}
  [panel] = pareto.make([one, two], "cpu_seconds").panels
  assert "Times of different devices: 1 x cpu, 1 x gpu." in panel.notes


def test_different_lengths_and_data_are_named():
  one, two = pareto_records.make("a", [50]) + pareto_records.make("b", [60])
  one["config"]["epochs"], two["config"]["epochs"] = 2.0, 5.0
  one["data"], two["data"] = {"digest": "x"}, {"digest": "y"}
  [panel] = pareto.make([one, two]).panels
  assert "Trained for different lengths: epochs from 2 to 5." in panel.notes
  assert any("data" in note for note in panel.notes)


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"x": "acee"}, "Did you mean 'ace'"),
    ({"y": "acuracy"}, "Did you mean 'accuracy'"),
    ({"by": "model.nam"}, "Did you mean 'model.name'"),
  ],
)
def test_mistakes(options, message):
  with pytest.raises(UserError, match=message):
    pareto.make(pareto_records.make("a", [50]), **options)
  with pytest.raises(UserError, match="no records"):
    pareto.make([])
