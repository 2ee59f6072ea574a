"""Runs that cannot be pooled, and what a reader should know."""

import pytest

from bnnjax.errors import UserError
from bnnjax.report import comparability, table
from tests.report.made_records import COST, make


def test_fields_in_which_runs_differ():
  assert comparability.differing([make(seed=s) for s in range(3)]) == {}
  runs = [
    make("ste"),
    make("float", changes={"optim.lr": 0.1, "model.width": 2.0}),
    make("ste", changes={"optim.options": {"b1": 0.5}, "log_every": 3}),
    make("ste", changes={"ema": 0.9}),  # others are too old for it
  ]
  assert comparability.differing(runs) == {
    "model.act": ["ste", "float"],
    "model.weight": ["ste", "float"],
    "model.width": ["not given", "2"],
    "optim.lr": ["0.01", "0.1"],
    "optim.options.b1": ["not given", "0.5"],
  }


def test_a_row_of_two_configs_is_refused():
  comparability.check_row("x", [make(seed=0), make(seed=1)], "images")
  runs = [make(changes={"epochs": n, "model.width": n}) for n in (1, 2, 3, 4)]
  with pytest.raises(UserError) as error:
    comparability.check_row("x", runs, "images")
  text = str(error.value)
  assert "The row 'x' (images) would mix runs that differ in" in text
  assert "epochs (1, 2, 3, ...)" in text
  assert "model.width (1, 2, 3, ...)" in text


def test_the_way_out_of_a_mixed_row_works_for_all_rows():
  """Two rates go with the methods, two numbers of epochs with each."""
  records = [
    make(
      name, changes={"optim.lr": lr, "epochs": epochs, "data.threads": epochs}
    )
    for name, lr in (("ste", 0.1), ("reste", 0.2))
    for epochs in (1, 2)
  ]
  with pytest.raises(comparability.MixedRow) as error:
    table.make(records, by="method")
  assert error.value.by == ("method", "epochs")
  assert 'Group by `by="method,epochs"`, or filter' in str(error.value)
  said = error.value.advised("--by={}", "--filter=FIELD=VALUE")
  assert "Group by `--by=method,epochs`, or filter the runs (--filter=" in said
  assert len(table.make(records, by="method,epochs").rows) == 4
  with pytest.raises(comparability.MixedRow) as error:
    table.make(records, by="seed")
  assert len(table.make(records, by=error.value.by).rows) == 4


def test_a_field_whose_labels_are_alike_is_no_way_out():
  runs = [make(), make(changes={"model.width": None})]
  with pytest.raises(comparability.MixedRow) as error:
    comparability.check_row("x", runs, "images", ["method"])
  assert error.value.by == ()
  assert "none of them. Filter the runs (`Runs.filter`)." in str(error.value)


def test_rows_of_one_name_say_how_they_differ():
  one, two = make(), make(changes={"optim.lr": 0.1})
  (said,) = comparability.of_one_name({"x": [one], "x (2)": [two]})
  assert said == (
    "The 2 rows of the name net-method=ste differ in optim.lr (0.01, 0.1)."
  )
  assert comparability.of_one_name({"x": [one, one]}) == []


def test_what_else_differs_between_rows_is_said():
  rows = [make("ste"), make("float", changes={"optim.lr": 0.1})]
  (said,) = comparability.between_rows(rows, ["method"])
  assert said == "The rows also differ in optim.lr (0.01, 0.1)."
  assert comparability.between_rows(rows, ["method", "optim.lr"]) == []
  assert comparability.between_rows(rows, ["name"]) == []


def test_costs_of_different_definitions():
  new, old = make(), make(cost={**COST, "definitions": {"ACE": "..."}})
  first = make(cost={k: v for k, v in COST.items() if k != "definitions"})
  assert comparability.of_costs({"a": [new, new], "b": [new]}) == []
  (said,) = comparability.of_costs({"a": [new], "b": [old], "c": [first, new]})
  assert "version 1: a; written out: b; not recorded and version 1: c" in said


def test_other_content_of_the_data():
  one, same, other = (make(data={"train": d}) for d in "aab")
  assert comparability.of_data([make(), one, same]) == []
  assert len(comparability.of_data([one, other])) == 1


def test_spreads():
  quiet, loud = [0.1, 0.2, 0.15, 0.12], [10.0, 90.0, 50.0, 20.0]
  assert comparability.spreads_differ([quiet, loud])
  assert not comparability.spreads_differ([quiet, [5.1, 5.2, 5.15, 5.1]])
  assert not comparability.spreads_differ([quiet, [1.0], [2.0, 2.0]])


def test_names_in_a_sentence():
  assert comparability.some(["a", "b"], 2) == "a, b"
  assert comparability.some(["a", "b", "c"], 2) == "a, b and 1 more"


def test_definitions_of_costs():
  assert comparability.definitions(make()) == "version 1"
  assert comparability.definitions(make(cost={})) == "not recorded"
  assert (
    comparability.definitions(make(cost={"definitions": {}})) == "written out"
  )
