"""`bx.report.load`."""

import os
import pathlib
import subprocess
import sys

import pytest

import bnnjax as bx
from bnnjax.errors import UserError
from bnnjax.report import runs as runs_lib
from tests.report.made_records import make, write

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def runs():
  return runs_lib.Runs(
    [
      make(method, seed, changes={"optim.lr": lr})
      for method in ("ste", "float")
      for seed in range(3)
      for lr in (0.01, 0.1)
    ]
  )


def test_filters(runs):
  assert len(runs.filter(method="ste")) == 6
  assert len(runs.filter(method="ste", seed=[0, 2], **{"optim.lr": 0.1})) == 2
  assert len(runs.filter(**{"optim.lr": "0.01"})) == 6  # as a label
  assert len(runs.filter(bits="float")) == 6
  with pytest.raises(UserError, match=r"'optim\.l'.*'optim\.lr'"):
    runs.filter(**{"optim.l": 1})
  with pytest.raises(
    UserError, match=r"No run has method = st\. They have: float"
  ):
    runs.filter(method="st")


def test_groups(runs):
  assert {k: len(v) for k, v in runs.groups("method").items()} == {
    "ste": 6, "float": 6,
  }  # fmt: skip
  assert len(runs.groups(["method", "optim.lr"])) == 4
  assert {k: len(v) for k, v in runs.groups().items()} == {
    "net-method=ste": 3, "net-method=ste (2)": 3,
    "net-method=float": 3, "net-method=float (2)": 3,
  }  # fmt: skip


def test_loading_says_what_it_skipped(tmp_path):
  write(tmp_path / "a.jsonl", [make(), {"benchmark": 1}])
  runs = bx.report.load(tmp_path)
  assert [r["id"] for r in runs] == [make()["id"]]
  assert f"<1 runs; {tmp_path / 'a.jsonl'}, line 2 lacks id" in repr(runs)


def test_committed_records_load():
  folder = ROOT / "experiments" / "results"
  runs = bx.report.load(folder)
  names = {pathlib.Path(s.file).name for s in runs.skipped}
  assert {"benchmarks.jsonl", "published_costs.jsonl"} <= names
  assert all(s.line == 0 for s in runs.skipped)
  assert "fashion_mnist_mini_pokebnn" in runs.groups()


def test_reading_takes_neither_jax_nor_matplotlib(tmp_path):
  write(tmp_path / "a.jsonl", [make(), make("float")])
  program = (
    "import sys, bnnjax as bx\n"
    "print(bx.report.load(sys.argv[1]).table(by='method').to_csv())\n"
    "print(sorted({'jax', 'matplotlib'} & sys.modules.keys()))"
  )
  out = subprocess.run(
    [sys.executable, "-c", program, tmp_path],
    capture_output=True,
    text=True,
    check=True,
    env={**os.environ, "PYTHONPATH": str(ROOT)},
  ).stdout
  assert out.splitlines()[-1] == "[]"
  assert "report" in dir(bx)
