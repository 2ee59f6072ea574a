"""What a row of a table shows of its runs."""

import pytest

from bnnjax.errors import UserError
from bnnjax.report import fields, row, statistics
from tests.report.made_records import COST, make

ACCURACY = fields.metric("accuracy")


def made(runs, metric=ACCURACY):
  return row.make("x", runs, ["method"], row.by_seed(runs, metric), metric)


def test_means_over_seeds():
  runs = [make(seed=s, accuracy=a) for s, a in enumerate((0.8, 0.9, 0.85))]
  found = made(runs)
  assert (found.n, found.values, found.label) == (3, ("ste",), "x")
  assert found.mean == pytest.approx(85)
  assert found.spread == pytest.approx(5)
  # sqrt(0.85 * 0.15 / 10,000) in per cent
  assert found.test_error == pytest.approx(0.35707, rel=1e-4)
  assert made(runs[:1]).spread is None


def test_runs_of_one_seed_count_once():
  runs = [make(accuracy=0.8), make(accuracy=0.9), make(seed=1, accuracy=0.75)]
  assert row.by_seed(runs, ACCURACY) == pytest.approx({0: 85, 1: 75})
  assert (made(runs).n, made(runs).mean) == (2, pytest.approx(80))


def test_costs():
  runs = [
    make(seed=s, cpu_seconds=10.0 + s, wall_seconds=5.0) for s in range(3)
  ]
  found = made(runs)
  assert found.costs == {
    "ace": 26500, "bops": 900, "bytes": 40, "bpw": 1.5, "energy": 2.0,
  }  # fmt: skip
  assert found.seconds == {"cpu_seconds": 11, "wall_seconds": 5}
  assert (found.bits, found.devices) == ("w1a1", "1 x cpu")


def test_what_is_not_known_is_empty():
  other = make(
    seed=1,
    cost={**COST, "ace": 1},
    device="1 x gpu",
    examples={"train": 10, "eval": 9},
  )
  found = made([make(cpu_seconds=3.0), other])
  assert found.costs["ace"] is None
  assert found.costs["bops"] == 900
  assert found.seconds["cpu_seconds"] is None
  assert found.test_error is None
  assert found.devices == "1 x cpu, 1 x gpu"
  bare = made([make(cost={})])
  assert set(bare.costs.values()) == {None}
  assert bare.bits == ""
  loss = fields.metric("loss")
  assert made([make(metrics={"loss": 2.0})], loss).test_error is None


def test_a_run_without_the_metric_is_named():
  with pytest.raises(
    UserError, match="net-method=ste-seed=0.*It has: accuracy"
  ):
    row.by_seed([make()], fields.metric("loss"))


def test_differences():
  values = {"a": {0: 2.0, 1: 3.1}, "b": {0: 1.0, 1: 2.0}, "c": {7: 5.0}}
  fit = statistics.two_way(values)
  found = row.difference("a", "b", fit, values)
  assert found.effect == pytest.approx(1.05)
  assert found.low < found.effect < found.high
  assert row.difference("c", "b", fit, values) == row.Difference(
    3.5, None, None
  )
  assert row.difference("b", "b", fit, values) is None
  assert row.difference("a", None, fit, values) is None
  assert row.difference("a", "b", None, values).low is None


@pytest.mark.parametrize("size", ["10", [10], -5, 0, True, 1.5, None])
def test_a_number_of_examples_that_is_none(size):
  found = made([make(examples={"eval": size})])
  assert found.test_error is None
