"""Whole runs on fake images: resume, events, stages, distillation, errors."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from bnnjax.report import record as record_lib
from bnnjax.train import (
  evaluate,
  loop,
  sharding,
)
from bnnjax.train.checkpoint import Checkpoints
from bnnjax.train.plan import Plan
from tests.train.small_runs import changed, killed, lines, tiny, variables


def test_metrics_and_record(finished):
  workdir, result = finished
  written = lines(workdir)
  train = [x for x in written if "train_loss" in x]
  assert [x["step"] for x in train] == [2, 4, 6, 8]
  assert all(x["train_grad_norm"] > 0 for x in train)
  assert any(x["train_flip_ratio"] > 0 for x in train)
  assert [x["step"] for x in written if "eval_accuracy" in x] == [4, 8]
  (record,) = record_lib.read(result.record)
  assert record["metrics"]["accuracy"] == result.metrics["accuracy"]
  assert record["cost"]["macs"]["w1a1"] == 8 * 8
  assert record["seed"] == 0
  assert record["config"]["model"]["hidden"] == [8, 8]


def test_loss_goes_down(finished):
  written = [x["train_loss"] for x in lines(finished[0]) if "train_loss" in x]
  assert written[-1] < written[0]


def test_finished_run_is_not_trained_again(finished, capsys):
  workdir, result = finished
  again = loop.train(tiny(), workdir)
  assert again.resumed
  assert again.metrics == result.metrics
  assert len(list(record_lib.read(result.record))) == 1


def test_a_killed_run_resumes_as_if_it_had_never_stopped(finished, tmp_path):
  killed(tiny(), tmp_path / "run", 6)
  result = loop.train(tiny(), tmp_path / "run")
  assert not result.resumed
  assert result.metrics == finished[1].metrics
  want, got = (
    variables(tiny(), finished[0]),
    variables(tiny(), tmp_path / "run"),
  )
  jax.tree.map(np.testing.assert_array_equal, want, got)


def _dies(*_):
  raise KeyboardInterrupt


def test_a_run_killed_before_its_record_is_recorded(tmp_path, monkeypatch):
  with monkeypatch.context() as patch:
    patch.setattr(record_lib, "append", _dies)
    with pytest.raises(KeyboardInterrupt):
      loop.train(tiny(), tmp_path / "run")
  result = loop.train(tiny(), tmp_path / "run")
  assert result.resumed
  assert len(list(record_lib.read(result.record))) == 1


def test_best_survives_a_kill_between_the_two_saves(tmp_path, monkeypatch):
  save = Checkpoints.save

  def only_last(self, kind, *rest):
    return save(self, kind, *rest) if kind == "last" else _dies()

  with monkeypatch.context() as patch:
    patch.setattr(Checkpoints, "save", only_last)
    with pytest.raises(KeyboardInterrupt):
      loop.train(tiny(), tmp_path / "run")
  result = loop.train(tiny(), tmp_path / "run")
  (record,) = record_lib.read(result.record)
  best = evaluate.evaluate(tmp_path / "run", "best")
  np.testing.assert_allclose(
    best["accuracy"], record["metrics"]["best_accuracy"]
  )


def test_best_belongs_to_the_last_stage(tmp_path):
  """A float first stage may be better; it is not the network that is meant."""
  config = tiny()
  config.steps, config.eval_every = 8, 0.5
  config.stages = (
    {"until": 6, "model": {"weight": None, "act": None}},
    {"until": 1.0},
  )
  result = loop.train(config, tmp_path / "run")
  (record,) = record_lib.read(result.record)
  assert Checkpoints(tmp_path / "run", create=False).latest("best") == 8
  best = evaluate.evaluate(tmp_path / "run", "best")
  assert best["accuracy"] == record["metrics"]["best_accuracy"]


def test_stage_without_restart_keeps_the_schedule(tmp_path):
  """Also where its optimizer has other parts than the one before."""
  config = tiny()
  config.optim.latent = {"lr": 0.01}
  config.stages = ({"until": 4, "model": {"weight": None}}, {"until": 1.0})
  loop.train(config, tmp_path / "run")
  stage = Plan(config).stages(config.steps)[-1]
  state, *_ = Checkpoints(tmp_path / "run", create=False).restore(
    "last",
    sharding.abstract_state(
      stage.network, stage.optimizer, sharding.make_mesh()
    ),
  )
  paths = jax.tree_util.tree_leaves_with_path(state["opt"])
  counts = {int(x) for p, x in paths if "count" in jax.tree_util.keystr(p)}
  assert counts == {8}


def test_record_that_cannot_be_written_is_refused_first(tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(ValueError, match="record .* cannot be written"):
    loop.train(tiny(), tmp_path / "run", record=tmp_path / "file" / "r.jsonl")
  assert not (tmp_path / "run").exists()


def test_tagged_and_untagged_runs_are_bit_identical(tmp_path):
  """The same numbers, from the same program (see also core/bits_test.py)."""
  results = []
  for tag in (True, False):
    config = tiny()
    config.model = {
      "name": "pokebnn",
      "stages": ((8, 1),),
      "stem_features": 8,
      "init_features": 4,
      "patch": 1,
      "expansion": 1,
      "quant_start": 1,
      "tag": tag,
    }
    config.steps = 2
    config.data.augment = ("flip",)
    config.events = ((1, "freeze_bounds"),)
    workdir = tmp_path / str(tag)
    result = loop.train(config, workdir)
    results.append((result.metrics, variables(config, workdir)))
  assert results[0][0] == results[1][0]
  jax.tree.map(np.testing.assert_array_equal, results[0][1], results[1][1])


def test_distillation_follows_the_teacher(finished, tmp_path):
  config = tiny(weight=None, act=None)
  config.task.distill = {"teacher": str(finished[0])}
  result = loop.train(config, tmp_path / "student")
  assert np.isfinite(result.metrics["loss"])
  other = tiny()
  other.data.update(shape=(5, 5, 1))
  other.data.options.shape = (5, 5, 1)
  other.task.distill = {"teacher": str(finished[0])}
  with pytest.raises(
    ValueError, match=r"Teacher and student differ in `data.shape`"
  ):
    loop.train(other, tmp_path / "other")
  assert not (tmp_path / "other").exists()


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(
  tmp_path,
):
  config = tiny()
  config.events = ((5, "poison"),)
  with pytest.raises(
    loop.NonFiniteLossError,
    match=r"not finite at step 5 of 8.*is kept.*`optim.lr`",
  ):
    loop.train(config, tmp_path / "run")
  assert Checkpoints(tmp_path / "run", create=False).latest("last") == 4
  assert not (tmp_path / "run" / "record.jsonl").exists()


POKE = {
  "name": "pokebnn",
  "stages": ((8, 1),),
  "stem_features": 8,
  "init_features": 4,
  "patch": 1,
}


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"model": {**POKE, "weight": "stee"}}, r"Unknown estimator 'stee'. Did you mean 'ste'"),
    ({"model": {**POKE, "act": "ste|chanel_l1"}}, "Did you mean 'channel_l1'"),
    ({"model": {**POKE, "width": 1.3}}, r"Illegal width 1.3.*Nearest legal widths"),
    ({"model": {**POKE, "widht": 1}}, "Unknown argument of model 'pokebnn' 'widht'. Did you mean 'width'"),
    ({"model": {"name": "pokebn"}}, "Unknown model 'pokebn'. Did you mean 'pokebnn'"),
    ({"model": POKE}, "needs the event 'freeze_bounds'"),
    (
      {"model": POKE, "events": ((8, "freeze_bounds"),)},
      r"ends after 8 steps, before event 'freeze_bounds' at 8",
    ),
    (
      {"model": {**POKE, "quant_start": 50}, "events": ((1, "freeze_bounds"),)},
      r"before `model.quant_start` at 50",
    ),
    ({"events": ((0.5, "freeze_bound"),)}, r"Unknown event 'freeze_bound'"),
    ({"task": {"name": "classification", "label_smothing": 0.1}}, "Did you mean 'label_smoothing'"),
    ({"optim.name": "adamm"}, "Unknown optimizer 'adamm'. Did you mean 'adam"),
    ({"optim.schedule": "cosin"}, "Did you mean 'cosine'"),
    ({"optim.options": {"beta": 1}}, "`optim.options` of adam.*beta"),
    ({"data.shape": (4, 4)}, r"`data.shape` is \(4, 4\), but images .* \(4, 4, 1\)"),
    ({"data.shape": (4, 4, 3)}, r"`data.shape` is \(4, 4, 3\), but images"),
    ({"data.num_classes": 7}, "`data.num_classes` is 7, but 'fake' has 3"),
    ({"data.name": "fashion_mnist_min"}, "Did you mean 'fashion_mnist_mini'"),
    ({"data.batch_size": 0}, "'data.batch_size' must be above 0 and finite, got 0"),
    ({"stages": ({"until": 0.5},)}, "The last stage ends at step 4"),
    ({"stages": ({"until": 0.5}, {"until": 3})}, "must increase: 3 is step 3"),
    ({"stages": ({"until": 1.0, "optim": {"weight_dcay": 0.1}},)}, "Did you mean 'optim.weight_decay'"),
    ({"stages": ({"until": 1.0, "optim": {"lr": -1.0}},)}, "'optim.lr' must be above 0 and finite, got -1.0"),
    ({"stages": ({"until": 1.0, "optim": 3},)}, "`optim` of a stage is a dict of the fields that differ, got 3"),
    ({"stages": ({"until": 1.0, "optim": {"name": "adamm"}},)}, "Unknown optimizer 'adamm'"),
    (
      {"stages": ({"until": 4, "optim": {"lr": 0.1}}, {"until": 1.0})},
      'until 1.0 has another `optim` than the one before it: give it `"restart": True`',
    ),
    ({"stages": ({"untill": 0.5},)}, "Unknown stage field 'untill'. Did you mean 'until'"),
    ({"model": {**POKE, "num_classes": 7}}, "decided by the data"),
    ({"model": {**POKE, "stages": ()}}, r"sequence of \(features, blocks\)"),
    ({"optim.lr": -1.0}, "'optim.lr' must be above 0 and finite, got -1.0"),
    ({"optim.weight_decay": "x"}, "'optim.weight_decay' must be a float, got 'x'"),
    ({"optim.grad_clip": float("nan")}, "must be 0 or above and finite, got nan"),
    ({"eval_every": float("nan")}, "must be above 0 and finite, got nan"),
    ({"log_every": 1.5}, "'log_every' must be an int, got 1.5"),
    ({"seed": -1}, "'seed' must be 0 or above"),
    ({"data.name": 3}, "'data.name' must be a str, got 3"),
    ({"events": 3}, "'events' must be a tuple, got 3"),
    ({"events": (3,)}, r"An event is \(when, name\), got 3"),
    ({"stages": (3,)}, "A stage is a dict with `until`, got 3"),
    ({"dat": 3}, "Unknown config field 'dat'. Did you mean 'data'"),
  ],
)  # fmt: skip
def test_bad_config_is_refused_before_a_file_is_touched(
  tmp_path, changes, message
):
  config = changed(tiny(), changes)
  with pytest.raises(ValueError, match=message):
    loop.train(config, tmp_path / "run")
  assert not (tmp_path / "run").exists()


def test_workdir_of_another_config(finished):
  config = tiny()
  config.optim.lr = 0.5
  with pytest.raises(
    ValueError,
    match=r"run of another config: `optim.lr` is 0.03 there and 0.5 here",
  ):
    loop.train(config, finished[0])


def test_missing_data_set_says_how_to_get_it(tmp_path):
  config = tiny()
  config.data.name = "tfds:cifar10"
  config.data.options = {"data_dir": str(tmp_path)}
  with pytest.raises(FileNotFoundError, match="tfds build cifar10"):
    loop.train(config, tmp_path / "run")


MULTI_DEVICE = """
import sys
from tests.train.small_runs import tiny
from bnnjax.train import loop
from bnnjax.train.plan import Plan
config = tiny()
config.steps = 2
result = loop.train(config, sys.argv[1])
student = tiny()
student.steps = 1
student.task.distill = {"teacher": sys.argv[1]}
loop.train(student, sys.argv[1] + "student")
print(result.metrics)
config.data.batch_size = 15
try:
  loop.train(config, sys.argv[1] + "x")
except ValueError as error:
  print(error)
"""


def test_several_devices_share_a_batch(tmp_path):
  """Same result as on one device; a batch that does not divide is refused."""
  config = tiny()
  config.steps = 2
  one = loop.train(config, tmp_path / "one").metrics
  done = subprocess.run(
    [sys.executable, "-c", MULTI_DEVICE, str(tmp_path / "four")],
    env={**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "4"},
    capture_output=True,
    text=True,
    check=True,
    timeout=300,
  ).stdout
  metrics = eval(done.splitlines()[-2])
  np.testing.assert_allclose(metrics["loss"], one["loss"], rtol=1e-4)
  assert (
    "`data.batch_size` must be a multiple of the 4 devices that share it, got 15"
    in done
  )
