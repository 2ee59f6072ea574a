"""`bx.ablate` on a network of seconds."""

import json
import math

import jax.numpy as jnp
import pytest

import bnnjax as bx
from bnnjax import config as config_lib
from bnnjax.core import registry
from bnnjax.errors import UserError
from tests.train.bars_test import Kernel


def config():
  made = config_lib.base()
  made.data.update(
    name="fake",
    options={"shape": (4, 4, 1), "num_classes": 3, "size": 64},
    train_split="train[:40]",
    batch_size=8,
    eval_batch_size=8,
  )
  made.steps = 2
  made.model = {"name": "mlp", "hidden": (8, 8)}
  return made


def lines(path):
  """Records without what differs from run to run."""
  timed = ("id", "wall_seconds", "cpu_seconds", "commit")
  return [
    {k: v for k, v in json.loads(line).items() if k not in timed}
    for line in path.read_text().splitlines()
  ]


def test_rates_are_chosen_and_runs_repeated(tmp_path, capsys):
  options = {
    "act": ["ste", "ste(clip=None)"],
    "lr": [1e-3, 1e-2],
    "seeds": 2,
    "held_out": 0.25,
  }
  found = bx.ablate(config(), **options, folder=str(tmp_path / "one"))
  choices = lines(tmp_path / "one" / "choices.jsonl")
  data = [record["config"]["data"] for record in choices]
  assert {d["train_split"] for d in data} == {"train[0:30]"}
  assert {d["eval_split"] for d in data} == {"train[30:40]"}
  assert len(choices) == 4
  results = lines(tmp_path / "one" / "results.jsonl")
  assert [record["seed"] for record in results] == [0, 1, 0, 1]
  assert {r["config"]["data"]["train_split"] for r in results} == {"train[:40]"}
  for cell, record in zip(found.cells, results[::2]):
    assert record["config"]["optim"]["lr"] == cell.rate
    assert cell.tried[cell.rate] == max(cell.tried.values())
  rows = found.table().rows
  assert {row.label for row in rows} == {"ste", "ste(clip=None)"}
  assert all(row.n == 2 for row in rows)
  assert "ste(clip=None)" in repr(found)
  assert "<table>" in found._repr_html_()
  assert found.table().sections[0].baseline == "ste"
  rate = found.cells[0].rate
  for shown in (repr(found), found._repr_html_()):
    assert f"Learning rates of ste: {rate:g}; ste(clip=None): " in shown
    assert "is at the edge of those tried" in shown
  assert len(found.plot().axes) == 1
  # Again: nothing is trained. Elsewhere: the same records.
  assert "  eval accuracy" in capsys.readouterr().out
  bx.ablate(config(), **options, folder=str(tmp_path / "one"))
  assert capsys.readouterr().out.count("(done)") == 8
  bx.ablate(config(), **options, folder=str(tmp_path / "two"))
  assert lines(tmp_path / "two" / "results.jsonl") == results


def test_a_float_operand_has_a_name(tmp_path, monkeypatch):
  kernel = Kernel(monkeypatch)
  options = {"act": ["ste", None], "seeds": 2, "folder": str(tmp_path)}
  found = bx.ablate(config(), **options)
  assert {row.label for row in found.table().rows} == {"ste", "float"}
  assert kernel.texts[-1].startswith("4/4 4 runs, ")


def test_a_run_has_one_record_under_any_name(tmp_path):
  """Runs of an earlier ablation, named otherwise, are in the table."""
  options = {"act": ["ste", None], "seeds": 2, "folder": str(tmp_path)}
  made = config()
  made.model.weight = "ste"
  bx.ablate(made, **options)
  found = bx.ablate(made, weight=["ste"], **options)
  assert [row.n for row in found.table().rows] == [2, 2]
  assert len(lines(tmp_path / "results.jsonl")) == 4


def test_rates_that_diverge_are_not_chosen(tmp_path):
  made = config()
  made.optim.name, made.steps = "sgd", 4
  options = {"act": ["ste", None], "seeds": 2, "folder": str(tmp_path)}
  found = bx.ablate(made, lr=[1e30, 1e-3], **options)
  for cell in found.cells:
    assert cell.rate == 1e-3
    assert math.isnan(cell.tried[1e30])
  with pytest.raises(UserError, match="Every run of .* diverges"):
    bx.ablate(made, lr=[1e30, 1e29], **options)


def test_long_specs_make_names_of_folders(tmp_path):
  act = ["ste", "ste(clip=linear(start=1.0, end=0.5))" + " " * 300]
  found = bx.ablate(config(), act=act, seeds=2, folder=str(tmp_path))
  assert [row.n for row in found.table().rows] == [2, 2]


def test_an_edited_estimator_is_trained_again(tmp_path, capsys):
  options = {"act": ["ste", "mine"], "seeds": 2, "folder": str(tmp_path)}
  trained = []
  for slope in (1.0, 0.0, 1.0):
    with registry.restored():

      @bx.estimator()
      def mine(x, *, slope=slope):
        return slope * (jnp.abs(x) < 1)

      bx.ablate(config(), lr=[0.3], **options)
    out = capsys.readouterr().out
    trained.append([line for line in out.splitlines() if "(done)" in line])
  assert [len(done) for done in trained] == [0, 2, 4]
  records = lines(tmp_path / "results.jsonl")
  mine = [r for r in records if r["config"]["model"]["act"] == "mine"]
  assert mine[0]["metrics"] != mine[2]["metrics"]
  assert [list(r.get("code", {})) for r in mine[:1]] == [["estimator mine"]]
