"""Chosen rates, and what records say of rows."""

import pytest

from bnnjax.errors import UserError
from bnnjax.evidence.results import Results
from bnnjax.train import config_file
from tests.evidence.conftest import EXPERIMENT, FINAL, append, record


def row(results, name):
  return results.experiment.row(name)


def test_the_rate_is_that_of_the_best_choice(make):
  results = make()
  rates = [results.rate(r) for r in results.experiment.rows]
  assert rates == [0.2, 0.0111111, 0.4, 0.0111111]
  edges = [results.at_the_edge(r) for r in results.experiment.rows]
  assert edges == [False, True, False, True]


def test_rates_are_added_at_the_edges(make):
  results = make()
  assert results.rates(row(results, "float")) == (0.1, 0.2, 0.4)
  added = (0.0111111, 0.0333333, 0.1, 0.2, 0.4)
  assert results.rates(row(results, "old")) == added
  assert results.rates(row(results, "new")) == (0.1, 0.2, 0.4, 1.2)


def test_without_all_choices_there_is_no_rate(make):
  results = make(rows=("float",))
  old = row(results, "old")
  assert results.rate(old) is None
  assert results.final_spec(old, 0) is None
  assert results.missing(old) == 6
  assert results.missing(row(results, "new, wide")) == 3
  assert results.missing(row(results, "float")) == 0


def test_a_student_names_the_run_of_its_teacher_of_the_same_seed(make):
  results = make()
  spec = results.final_spec(row(results, "new"), 2)
  assert spec == (
    "configs/x.py:images=10,method=new,"
    "teacher=runs/exp/x-images=10-method=float-lr=0.2-seed=2,lr=0.4,seed=2"
  )
  no_teacher = make(rows=())
  assert no_teacher.tuning_spec(row(no_teacher, "new"), 0.1) is None


def test_steps_include_those_of_the_teacher(make):
  results = make()
  assert results.steps(row(results, "old")) == 100
  assert results.steps(row(results, "new")) == 200


def test_a_row_is_shown_with_all_its_seeds(make):
  few = {"float": (0.9, 0.91), "old": (0.7, 0.7, 0.7)}
  results = make(rows=("float", "old"), final=few)
  assert not results.is_shown(row(results, "float"))
  assert results.is_shown(row(results, "old"))
  assert [r["seed"] for r in results.runs(row(results, "old"))] == [0, 1, 2]


def test_cpu_seconds_count_choices_too(make):
  # 3 rows of 3 choices and 3 runs, 3 choices that were added, and a row of 3
  # runs: 24 minutes.
  assert make().cpu_seconds() == 24 * 60


def test_files_of_other_things_are_left_out(make, tmp_path):
  (tmp_path / "benchmarks.jsonl").write_text('{"seconds": 1}\n')
  results = make()
  assert results.rate(row(results, "float")) == 0.2


def test_steps_that_are_not_on_record(make):
  results = make()
  teacher = results.runs(row(results, "float"))[0]
  del teacher["steps"]
  assert results.steps(row(results, "new")) is None
  assert results.steps(row(results, "old")) == 100


def test_a_damaged_line_is_an_error_not_a_row_that_was_not_run(make, tmp_path):
  make()
  append(tmp_path / "exp.jsonl", {"id": "half"})
  with pytest.raises(UserError, match="exp.jsonl, line 13 .*mend or remove"):
    Results.of("exp", EXPERIMENT, tmp_path)


@pytest.mark.parametrize(
  ("changes", "says"),
  [
    ({"id": "again", "seed": 0}, "Two records have the name .*remove one"),
    ({"name": "x-images=10-method=old-lr=0.0111111-seed=2"}, "has the seed 7"),
    ({"config": {"data": {"eval_split": "x"}}}, "differ in data.eval_split"),
    ({"metrics": {"loss": 0.1}}, "has no metric 'accuracy'"),
  ],
)
def test_records_that_are_not_those_of_their_row(make, tmp_path, changes, says):
  results = make(rows=("old",), final=FINAL | {"old": (0.7, 0.7)})
  seed = changes.pop("seed", 7 if "name" in changes else 2)
  spec = results.final_spec(row(results, "old"), seed)
  append(tmp_path / "exp.jsonl", record(spec, 0.9, seed=seed, **changes))
  with pytest.raises(UserError, match=says):
    Results.of("exp", EXPERIMENT, tmp_path)


def test_records_of_an_older_config_are_refused(make, monkeypatch):
  def read(spec):
    held_out = spec.endswith("validate")
    config = {"data": {"eval_split": "train[10:]" if held_out else "test"}}
    return config | {"mesh": {"fsdp": 2}} | changes

  results, changes = make(), {}
  monkeypatch.setattr(config_file, "read", read)
  results.check_configs()
  changes = {"init": "runs/elsewhere", "optim": {"lr": 0.5}}
  with pytest.raises(
    UserError, match="'float' is of another.*`optim.lr` differs"
  ):
    results.check_configs()
