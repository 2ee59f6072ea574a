"""Going on in a workdir: what may differ, what may not, and longer runs."""

import json
import os
import shutil
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bnnjax as bx
from bnnjax.core import registry
from bnnjax.errors import UserError
from bnnjax.report import record as record_lib
from bnnjax.train import evaluate, loop
from bnnjax.train.checkpoint import Checkpoints
from tests.train.small_runs import lines, stopped, tiny, variables


@pytest.fixture
def copy(finished, tmp_path):
  """The finished run, to be changed."""
  shutil.copytree(finished[0], tmp_path / "run")
  return tmp_path / "run"


def longer(steps=12, lr=0.03, **changes):
  config = tiny()
  config.steps, config.optim.lr = steps, lr
  config.update(changes)
  return config


def test_a_finished_run_goes_on_to_a_later_end(copy, capsys):
  """The learning rate is that of the longer run, and so is the fraction."""
  first = next(record_lib.read(copy / "record.jsonl"))
  result = loop.train(longer(), copy)
  out = capsys.readouterr().out
  assert "finished at step 8 and continues to step 12" in out
  assert "computed anew" in out
  assert not result.resumed
  old, new = record_lib.read(copy / "record.jsonl")
  assert old == first
  assert new["lengthened_from"] == {"id": first["id"], "steps": 8}
  assert new["id"] != first["id"]
  assert new["config"]["steps"] == 12
  assert [x["step"] for x in lines(copy) if "eval_loss" in x] == [4, 8, 12]
  assert json.loads((copy / "config.json").read_text())["steps"] == 12
  assert loop.train(longer(), copy).resumed


def test_a_longer_run_goes_on_where_it_was_stopped(copy, finished, tmp_path):
  shutil.copytree(finished[0], tmp_path / "whole")
  want = loop.train(longer(), tmp_path / "whole")
  stopped(longer(), copy, 10)
  assert loop.train(longer(), copy).metrics == want.metrics
  jax.tree.map(
    np.testing.assert_array_equal,
    variables(longer(), tmp_path / "whole"),
    variables(longer(), copy),
  )
  *_, new = record_lib.read(copy / "record.jsonl")
  assert new["lengthened_from"]["steps"] == 8


APPLIED = []


@registry.register("event", "noted")
def noted(model, batch):
  del model, batch
  APPLIED.append(1)


def test_events_of_the_run_so_far_are_not_applied_again(tmp_path):
  APPLIED.clear()
  for steps in (8, 12):
    loop.train(longer(steps, events=((0.75, "noted"),)), tmp_path)
  assert len(APPLIED) == 1  # at 6 of 8, not at 9 of 12


@pytest.mark.parametrize(
  ("config", "message"),
  [
    (longer(4), "finished run of 8 steps; this one has 4.*only be made longer"),
    (longer(12, seed=1), "`seed` is 0 there and 1 here"),
    (
      longer(12, stages=({"until": 4}, {"until": 1.0})),
      r"stages end at steps \[8\]; those of this one end at \[4, 12\]",
    ),
    (longer(8, stages=({"until": 4}, {"until": 1.0})), "`stages` is"),
  ],
)
def test_other_lengths_are_refused(copy, config, message):
  before = sorted((p, p.stat().st_mtime_ns) for p in copy.rglob("*.json*"))
  with pytest.raises(UserError, match=message):
    loop.train(config, copy)
  after = sorted((p, p.stat().st_mtime_ns) for p in copy.rglob("*.json*"))
  assert before == after


def test_only_a_finished_run_can_be_made_longer(tmp_path):
  stopped(tiny(), tmp_path, 5)
  with pytest.raises(UserError, match="8 steps, of which 5 are done.*12 steps"):
    loop.train(longer(), tmp_path)


def test_a_stage_can_be_added(copy):
  """The old stage stays as it was, and the new one is another network."""
  added = ({"until": 8}, {"until": 1.0, "model": {"act": None}})
  best = copy / "checkpoints" / "best"
  shutil.rmtree(best)  # the old network was never better than at its end
  shutil.copytree(copy / "checkpoints" / "last", best)
  loop.train(longer(12, stages=added), copy)
  *_, new = record_lib.read(copy / "record.jsonl")
  assert new["lengthened_from"]["steps"] == 8
  assert [p.name for p in best.iterdir()] == ["12"]  # of the new network
  assert new["metrics"]["best_loss"] == new["metrics"]["loss"]
  with pytest.raises(UserError, match=r"end at steps \[8, 12\]"):
    loop.train(longer(16, stages=added), copy)
  more = (*added[:1], {**added[1], "until": 12}, {"until": 1.0})
  assert loop.train(longer(16, stages=more), copy).metrics


def test_the_checkpoint_knows_its_config(copy):
  """A lost config.json does not let another run in; a changed one is named."""
  (copy / "config.json").unlink()
  with pytest.raises(UserError, match="`optim.lr` is 0.03 there and 0.5 here"):
    loop.train(longer(8, lr=0.5), copy)
  assert loop.train(tiny(), copy).resumed
  changed = json.loads((copy / "config.json").read_text())
  changed["optim"]["lr"] = 0.5
  (copy / "config.json").write_text(json.dumps(changed))
  for use in (
    lambda: evaluate.evaluate(copy),
    lambda: loop.train(tiny(), copy),
    lambda: loop.train(longer(8, lr=0.5), copy),
  ):
    with pytest.raises(UserError, match="config.json was changed.*`optim.lr`"):
      use()


def test_what_is_said_and_not_computed_may_change(copy, capsys):
  config = tiny()
  config.log_every = 4
  config.checkpoint.every_steps = 3
  assert loop.train(config, copy).resumed
  out = capsys.readouterr().out
  assert "`log_every` is 2 there and 4 here" in out


def test_other_data_are_refused(copy):
  config = tiny()
  config.data.options.size = 65
  with pytest.raises(UserError, match="data"):
    loop.train(config, copy)


def test_a_checkpoint_of_a_newer_format(copy):
  info = next((copy / "checkpoints" / "last").rglob("metadata"))
  assert info.parent.name == "info"
  held = json.loads(info.read_text())
  held["format"] = 99
  info.write_text(json.dumps(held))
  with pytest.raises(UserError, match=r"of format 99.*written by bnnjax 0.1.0"):
    loop.train(tiny(), copy)


def test_a_checkpoint_of_an_older_format(copy, capsys):
  """Without digests and config, its position in a file of each process."""
  for folder in (copy / "checkpoints").glob("*/8"):
    file = folder / "info" / "metadata"
    held = json.loads(file.read_text())
    kept = ("id", "steps", "eval", "best", "flips", "seconds")
    file.write_text(json.dumps({k: held[k] for k in kept}))
    (folder / "data").mkdir()
    for process in range(2):
      position = folder / "data" / f"process_{process}-of-2.json"
      position.write_text(json.dumps(held["position"]))
  assert evaluate.evaluate(copy)
  result = loop.train(longer(), copy)
  assert "of an older version" in capsys.readouterr().out
  assert result.metrics
  (copy / "config.json").unlink()
  assert Checkpoints(copy, create=False).info("last")["format"] == 2


def test_what_a_kill_left_beside_a_newer_checkpoint_goes(copy):
  last = copy / "checkpoints" / "last"
  shutil.copytree(last / "8", last / "4")
  assert loop.train(tiny(), copy).resumed
  assert [p.name for p in last.iterdir()] == ["8"]


def test_a_folder_that_is_no_checkpoint(copy):
  (copy / "checkpoints" / "last" / "99").mkdir()
  for use in (
    lambda: loop.train(tiny(), copy),
    lambda: evaluate.evaluate(copy),
  ):
    with pytest.raises(UserError, match=r"last/99 is no checkpoint.*step 8"):
      use()


TWO_PROCESSES = """
import sys
import jax
import jax.numpy as jnp
jax.distributed.initialize(
  coordinator_address=sys.argv[2], num_processes=2, process_id=int(sys.argv[1])
)
from bnnjax.train import loop, stops
from tests.train.small_runs import tiny
from tests.train.small_runs import StopAt
try:
  loop.train(tiny(), sys.argv[3], signals=StopAt(5))
except stops.Stopped as error:
  print(error)
"""


@pytest.mark.slow
def test_a_run_of_two_processes_goes_on_in_one(finished, tmp_path):
  """The same examples, whatever the number of processes."""
  with socket.socket() as free:
    free.bind(("localhost", 0))
    address = f"localhost:{free.getsockname()[1]}"
  programs = [
    subprocess.Popen(
      [sys.executable, "-c", TWO_PROCESSES, str(i), address, str(tmp_path)],
      env={**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1"},
      stdout=subprocess.PIPE,
      text=True,
    )
    for i in range(2)
  ]
  for program in programs:
    assert "at step 5 of 8, saved" in program.communicate(timeout=300)[0]
  result = loop.train(tiny(), tmp_path)
  np.testing.assert_allclose(
    result.metrics["loss"], finished[1].metrics["loss"], rtol=1e-4
  )


def test_an_edited_estimator_is_another_run(tmp_path):
  config = tiny()
  config.model = {**config.model, "act": "mine"}
  for slope in (1.0, 2.0):
    with registry.restored():

      @bx.estimator()
      def mine(x, *, slope=slope):
        return slope * (jnp.abs(x) < 1)

      if slope == 1.0:
        loop.train(config, tmp_path)
        continue
      with pytest.raises(UserError, match="code of the estimator mine has"):
        loop.train(config, tmp_path)
      with pytest.warns(UserWarning, match="code of the estimator mine has"):
        evaluate.evaluate(tmp_path)
