"""Points and their names."""

import dataclasses

import pytest

from bnnjax.report import axes, fields, points
from tests.report import pareto_records

ACE, ACCURACY = axes.AXES["ace"], fields.metric("accuracy")


def point(name, accuracies, **changes):
  records = pareto_records.make(name, accuracies, **changes)
  return points.make(name, records, ACE, ACCURACY)


def test_mean_and_spread_over_seeds():
  found = point("a", [50, 52, 54], ace=7)
  assert (found.x, found.n) == (7, 3)
  assert found.y == pytest.approx(52)
  assert found.spread == pytest.approx(2)
  assert (found.network, found.method, found.bits) == ("mlp", "a", "w1a1")
  assert point("a", [50]).spread is None


def test_runs_of_one_seed_count_once():
  records = pareto_records.make("a", [50]) + pareto_records.make("a", [60, 70])
  found = points.make("a", records, ACE, ACCURACY)
  assert found.values == pytest.approx({0: 55, 1: 70})
  assert found.y == pytest.approx(62.5)
  assert points.doubts(records, records, ACE) == [
    "Several runs of one seed, averaged"
  ]


def test_doubts():
  one, two = pareto_records.make("a", [50, 60])
  two["cost"]["ace"] = 2000
  assert points.doubts([one, two], [one, two], ACE) == [
    "Runs that differ in ACE, averaged"
  ]
  assert points.doubts([one, two], [one], ACE) == [
    "Some runs lack the cost or the metric"
  ]
  one["cpu_seconds"], two["cpu_seconds"] = 1.0, 2.0
  assert points.doubts([one, two], [one, two], axes.AXES["cpu_seconds"]) == []


def series(found, by=None):
  return [p.series for p in points.name_series(found, by)]


def test_a_series_is_a_method_and_a_network_if_there_are_several():
  a, b = point("x", [50], method="ste"), point("y", [50], method="reste")
  assert series([a, b]) == ["ste", "reste"]
  other = point("z", [50], method="ste", model="resnet")
  assert series([a, other]) == ["mlp, ste", "resnet, ste"]
  assert series([a, other], by="model.name") == ["mlp", "resnet"]
  assert series([a], by="optim.lr") == ["not recorded"]


def test_what_tells_experiments_of_one_method_and_cost_apart():
  found = [
    point("net-method=ste", [50], method="ste"),
    point("net-method=ste-teacher=big", [50], method="ste"),
    point("net-method=ste-width=2", [50], method="ste", ace=2000),
  ]
  assert series(found) == ["ste", "ste: teacher=big", "ste"]


def test_an_old_record_without_a_method_has_its_name():
  records = pareto_records.make("old", [50])
  records[0]["config"] = {}
  found = points.make("old", records, ACE, ACCURACY)
  assert series([found]) == ["old"]


def test_a_spec_is_named_by_its_estimators():
  def named(weight, act, bits="w1a1"):
    found = point("x", [50], method=weight)
    method = weight if weight == act else f"{weight} / {act}"
    return points.short(dataclasses.replace(found, method=method, bits=bits))

  assert named("pokebnn", "half_shift|fixed(value=1.0)") == (
    "pokebnn / half_shift"
  )
  spec = "reste(o=linear(start=1.0, end=3.0))"
  assert named(f"{spec}|tensor_l1; gradient='full'", spec) == "reste"
  four = "symmetric(bits=4)"
  assert named(f"tanh > {four}|channel_max", four, "w4a4") == "symmetric W4A4"
  assert named("dorefa_weight(bits=4)", "dorefa_act(bits=4)", "w4a4") == (
    "dorefa W4A4"
  )
  assert named("a_weight", "b_act") == "a_weight / b_act"
  assert named("float", "float", "float") == "float"


def test_the_usual_network_goes_without_saying():
  three = [point(n, [50], method="ste", model="resnet") for n in "abc"]
  other = point("d", [50], method="float")
  assert series([*three[:2], other])[-1] == "mlp, float"
  assert points.usual_network([three[0], other]) == ""
  assert points.usual_network([]) == ""


def test_rates_do_not_tell_experiments_apart_if_something_else_does():
  found = [
    point("net-bound=1-lr=0.1", [50], method="ste"),
    point("net-bound=2-lr=0.3", [50], method="ste"),
  ]
  assert series(found) == ["ste: bound=1", "ste: bound=2"]
  found = [point(f"net-lr={r}", [50], method="ste") for r in (1, 2)]
  assert series(found) == ["ste: lr=1", "ste: lr=2"]
