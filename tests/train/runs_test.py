"""Stored runs from Python: their network, and what is an error."""

import json

import numpy as np
import pytest

import bnnjax as bx
from bnnjax import tasks
from bnnjax.errors import UserError
from bnnjax.train import datasets


def test_the_files_of_a_run_are_run_again(tmp_path):
  """As by `bnnjax eval`; others can be given."""
  mine, stored = tmp_path / "mine.py", tmp_path / "config.json"
  mine.write_text("raise ValueError('it ran')\n")
  for load, files in (([str(mine)], ()), (["gone.py"], [str(mine)])):
    stored.write_text(json.dumps({"load": load}))
    with pytest.raises(ValueError, match="it ran"):
      bx.load(tmp_path, files=files)
  with pytest.raises(UserError, match="trained with --load=gone.py"):
    bx.load(tmp_path)


def test_what_is_no_checkpoint(tmp_path):
  with pytest.raises(ValueError, match=r"checkpoint 'lats'.*'last'"):
    bx.load(tmp_path, "lats")
  with pytest.raises(UserError, match="holds no run"):
    bx.load(tmp_path)


def test_load_gives_the_network_that_was_evaluated(finished):
  workdir, result = finished
  model, config = bx.load(workdir)
  _, source = datasets.load_data(config, tasks.build(config.task))
  right = []
  for batch in datasets.make_eval_batches(config, source):
    correct = np.argmax(model(batch["image"]), -1) == batch["label"]
    right.extend(correct[np.asarray(batch["mask"]) > 0])
  assert np.mean(right) == pytest.approx(result.metrics["accuracy"])
