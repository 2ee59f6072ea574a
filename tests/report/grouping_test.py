"""Which records one row holds."""

import time

import pytest

from bnnjax.errors import UserError
from bnnjax.report import grouping
from tests.report.made_records import make


def sizes(groups):
  return {label: len(runs) for label, runs in groups.items()}


def config_record(name, config, **fields):
  return {"id": f"{name}{config}", "name": name, "config": config, **fields}


def test_seeds_are_pooled_and_other_configs_are_not():
  records = [make(seed=seed) for seed in range(3)]
  records += [make(seed=0, changes={"optim.lr": 0.1}), make("float")]
  assert sizes(grouping.by_config(records)) == {
    "net-method=ste": 3, "net-method=ste (2)": 1, "net-method=float": 1,
  }  # fmt: skip


def test_a_record_that_is_too_old_for_a_field_does_not_join_two_that_differ():
  old = config_record("x-seed=0", {"seed": 0, "lr": 1})
  new = config_record("x-seed=1", {"seed": 1, "lr": 1, "ema": 0.0})
  other = config_record("x-seed=2", {"seed": 2, "lr": 1, "ema": 0.9})
  assert sizes(grouping.by_config([old, new, other])) == {"x": 2, "x (2)": 1}
  assert sizes(grouping.by_config([new, other, old])) == {"x": 2, "x (2)": 1}
  again = config_record("x-seed=3", {"seed": 3, "lr": 1, "ema": 0.9})
  assert sizes(grouping.by_config([old, new, other, again])) == {
    "x": 2, "x (2)": 2,
  }  # fmt: skip


def test_an_argument_of_the_model_that_is_left_out_is_another_config():
  one = config_record("x", {"model": {"name": "m"}})
  other = config_record("x", {"model": {"name": "m", "width": 2}})
  assert len(grouping.by_config([one, other])) == 2
  plain = config_record("x", {"init": ""})
  nested = config_record("x", {"init": {"path": "a"}})
  assert len(grouping.by_config([plain, nested])) == 2


def test_the_seed_of_a_teachers_folder_does_not_tell_runs_apart():
  teachers = [
    config_record(f"t-seed={s}", {"seed": s}, folder=f"t-seed={s}-abc{s}")
    for s in range(2)
  ]
  students = [
    config_record(
      f"s-seed={s}",
      {"seed": s, "task": {"distill": {"teacher": f"runs/t-seed={s}-abc{s}"}}},
    )
    for s in range(2)
  ]
  assert sizes(grouping.by_config([*teachers, *students])) == {"t": 2, "s": 2}


def test_many_configs_of_one_name_take_no_square_of_their_number():
  records = [
    config_record("x", {"lr": i, **({"new": 1} if i % 2 else {})})
    for i in range(4000)
  ]
  start = time.process_time()
  assert len(grouping.by_config(records)) == 4000
  assert time.process_time() - start < 2


def test_by_fields():
  records = [
    make(seed=s, changes={"optim.lr": lr}) for s in (0, 1) for lr in (1, 2)
  ]
  assert sizes(grouping.by_fields(records, ["method", "optim.lr"])) == {
    "ste, 1": 2, "ste, 2": 2,
  }  # fmt: skip
  assert sizes(grouping.by_fields(records, ["seed"])) == {"0": 2, "1": 2}
  with pytest.raises(UserError, match="Unknown field 'lr'"):
    grouping.by_fields(records, ["lr"])


def test_labels_of_two_groups_differ():
  changes = ({"a": "x, y", "b": "z"}, {"a": "x", "b": "y, z"})
  records = [make(changes=c) for c in changes]
  found = grouping.by_fields(records, ["a", "b"])
  assert sizes(found) == {"x, y, z": 1, "x, y, z (2)": 1}


def test_very_many_groups_are_refused():
  grouping.check_number(dict.fromkeys(range(grouping.MOST)))
  with pytest.raises(UserError, match="more than 5,000 different configs"):
    grouping.check_number(dict.fromkeys(range(grouping.MOST + 1)))


def test_names_of_fields():
  assert grouping.names("method, optim.lr") == ["method", "optim.lr"]
  assert grouping.names(["method"]) == ["method"]
  for wrong in ("", "a,,b", "a,a", [], ","):
    with pytest.raises(UserError, match="each once, e.g. `method,optim.lr`"):
      grouping.names(wrong)
