import math

import pytest

from bnnjax.errors import UserError
from bnnjax.evidence import experiment
from bnnjax.evidence.experiment import Claim, Experiment, Row

RATES = (0.1, 0.2, 0.3)
A, B = Row("a", "c.py:x", RATES), Row("b", "c.py:teacher={a}", RATES)


CLAIM = Claim("", "b", "a")


def make(rows=(A, B), claims=(CLAIM,)):
  return Experiment("t", "p", "c", rows, claims, "s")


def test_specs_of_a_row():
  assert A.at(0.2, 1, {}) == "c.py:x,lr=0.2,seed=1"
  assert A.tuning(0.2, {}) == "c.py:x,lr=0.2,validate"
  assert B.before == ("a",)
  spec = B.at(0.2, 1, {"a": "runs/e/a-seed=1"})
  assert spec == "c.py:teacher=runs/e/a-seed=1,lr=0.2,seed=1"


def test_groups_keep_the_order():
  rows = (A, Row("c", "c.py:y", RATES, group="g"), B)
  groups = make(rows).groups
  assert {k: [r.name for r in v] for k, v in groups.items()} == {
    "": ["a", "b"],
    "g": ["c"],
  }


@pytest.mark.parametrize(
  ("rows", "claims", "says"),
  [
    ((A, A), (), "share a name"),
    ((B,), (), "Unknown row 'a'"),
    ((Row("a", "c.py:x", (0.1, 0.2)),), (), "give at least 3 different"),
    ((Row("a", "c.py:x", (0.1, 0.1, 0.2)),), (), "3 different"),
    ((Row("a", "c.py:x", (0.1, 0.2, math.nan)),), (), "positive"),
    ((Row("a", "c.py:x", rate_of="z"),), (), "Unknown row 'z'"),
    ((B, A), (), "'b' needs the row 'a', which must come before"),
    ((A, B), (), "has no claim"),
    (
      (A, Row("c", "c.py:y", RATES, group="g")),
      (Claim("", "a", "c"),),
      "several groups",
    ),
    ((A, B), (Claim("", "a", "bb"),), "Unknown row 'bb'.*'b'"),
    ((A, B), (Claim("", "*", "a", besides=("z",)),), "Unknown row 'z'"),
  ],
)
def test_wrong_experiments(rows, claims, says):
  with pytest.raises(ValueError, match=says):
    make(rows, claims)


def test_experiments_are_files_with_one(tmp_path):
  (tmp_path / "one.py").write_text(
    "from bnnjax.evidence.experiment import Claim, Experiment, Row\n\n"
    "EXPERIMENT = Experiment(\n  't', 'p', 'c', (Row('a', 'c.py:x'),),"
    " (Claim('', '*', 'a'),), 's'\n)\n"
  )
  (tmp_path / "script.py").write_text("print(1)\n")
  assert list(experiment.all_of(tmp_path)) == ["one"]
  assert experiment.load("one", tmp_path).title == "t"
  with pytest.raises(ValueError, match="Unknown experiment 'ome'.*'one'"):
    experiment.load("ome", tmp_path)
  with pytest.raises(UserError, match="part of a clone"):
    experiment.all_of(tmp_path / "nowhere")
  (tmp_path / "two.py").write_text("\nEXPERIMENT = 2\n")
  with pytest.raises(UserError, match="must be an `Experiment`: got 2"):
    experiment.load("two", tmp_path)
