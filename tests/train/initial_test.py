"""Where a run starts: another run, a checkpoint, an event, a stage before."""

import contextlib
import json

import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

import bnnjax as bx
from bnnjax import config as config_lib
from bnnjax import models
from bnnjax.core import registry
from bnnjax.models import pretrained
from bnnjax.train import datasets, evaluate, initial, loop, step
from tests.train.small_runs import tiny


def trained(tmp_path, **model):
  config = tiny()
  config.model.update(**model)
  loop.train(config, tmp_path / "teacher")
  return str(tmp_path / "teacher")


def started(config, tmp_path):
  """Variables of a run before its first step, by dotted path."""
  state = loop.first_state(*loop.check(config, tmp_path / "run"))
  return {
    ".".join(map(str, path)): value
    for part in ("params", "rest")
    for path, value in nnx.to_flat_state(nnx.State(state[part]))
  }


def test_a_student_starts_from_a_float_run(tmp_path):
  """Latent weights are the teacher's, learned scales measure them."""
  init = trained(tmp_path, weight=None, act=None)
  config = tiny()
  config.model.update(weight="ste|learned", act="ste")
  config.init = init
  got = started(config, tmp_path)
  tensors = pretrained.weights(bx.load(init)[0])
  kernels = [k for k in tensors if k.endswith("kernel")]
  assert kernels
  for name, want in tensors.items():
    np.testing.assert_array_equal(got[name], want, err_msg=name)
  scales = [k for k in got if k.endswith("weight.params.scale")]
  assert scales
  for name in scales:
    kernel = tensors[name.replace("weight.params.scale", "kernel")]
    axes = tuple(range(kernel.ndim - 1))
    want = np.mean(np.abs(kernel), axes, keepdims=True)
    np.testing.assert_allclose(got[name], want, rtol=1e-6)


@pytest.mark.parametrize("weight", ["fbi_llm", "ste|learned"])
def test_equal_binarizers_go_on(tmp_path, weight):
  """Learned scales of a 1-bit run are kept, unless the student has others."""
  init = trained(tmp_path, weight=weight, act="ste")
  config = tiny()
  config.model.update(weight=weight, act="ste")
  config.init = init
  config.epochs, config.steps = 0.0, 0
  kept = loop.train(config, tmp_path / "kept").metrics
  assert kept == evaluate.evaluate(init)
  config.model.weight = "ste|channel_l1"
  assert loop.train(config, tmp_path / "other").metrics != kept


def test_a_run_of_no_epoch_measures_what_it_starts_from(tmp_path):
  """Binarization after training: evaluated, recorded, finished."""
  init = trained(tmp_path, weight=None, act=None)
  config = tiny()
  config.epochs, config.steps = 0.0, 0
  with pytest.raises(ValueError, match="Only what `init` gives"):
    loop.train(config, tmp_path / "none")
  assert not (tmp_path / "none").exists()
  config.init = init
  metrics = {}
  for weight in (None, "ste|channel_l1"):
    config.model.update(weight=weight, act=None)
    result = loop.train(config, tmp_path / str(weight))
    metrics[weight] = result.metrics
    (line,) = result.record.read_text().splitlines()
    assert json.loads(line)["metrics"]["accuracy"] == result.metrics["accuracy"]
    again = loop.train(config, tmp_path / str(weight))
    assert again.resumed
    assert again.metrics == result.metrics
  assert metrics[None] == evaluate.evaluate(init)
  assert metrics[None] != metrics["ste|channel_l1"]


def test_a_student_starts_from_a_file(tmp_path, capsys):
  """Heads stand in the `config.json` beside it, and have to be the model's."""
  config = config_lib.base()
  config.data.update(shape=(12,), vocab=40, num_classes=3)
  config_lib.make_smoke(config)
  sizes = {"features": 16, "blocks": 1, "heads": 2}
  config.model = {"name": "bert", **sizes, "weight": "bibert", "act": "bibert"}
  source = models.build(
    {"name": "bert", **sizes}, rngs=nnx.Rngs(3), vocab=40, max_len=12
  )
  tensors = {
    pretrained.BERT.source(path): np.asarray(v[...])
    for path, v in pretrained.weights(source).items()
  }
  turned = {
    k: v.T if v.ndim == 2 and "embeddings" not in k else v
    for k, v in tensors.items()
  }
  folder = tmp_path / "hub"
  folder.mkdir()
  file = folder / "model.safetensors"
  save_file({k: np.ascontiguousarray(v) for k, v in turned.items()}, file)
  settings = folder / "config.json"
  settings.write_text(json.dumps({"num_attention_heads": 2}))
  config.init = str(folder)
  got = started(config, tmp_path)
  assert "draws: head.bias, head.kernel" in capsys.readouterr().out
  for path, variable in pretrained.weights(source).items():
    if path.startswith("blocks"):
      np.testing.assert_array_equal(got[path], variable[...], err_msg=path)
  settings.write_text(json.dumps({"num_attention_heads": 4}))
  with pytest.raises(ValueError, match=r"heads = 4: set `model.heads`.* got 2"):
    loop.train(config, tmp_path / "other")
  file.rename(folder / "pytorch_model.bin")
  for init in (folder, folder / "pytorch_model.bin"):
    config.init = str(init)
    with pytest.raises(ValueError, match="Convert it once.*save_file"):
      loop.train(config, tmp_path / "other")
  assert not (tmp_path / "other").exists()


def test_what_shapes_do_not_show_has_to_be_told(tmp_path):
  """A Mamba-2 without `config.json`: of how many groups is not seen."""
  config = tiny()
  config.model = {"name": "mamba", "features": 16, "blocks": 1, "head_size": 8}
  names = pretrained.MAMBA2
  model = models.abstract(
    lambda rngs: models.build({**config.model, "vocab": 8}, rngs=rngs)
  )
  tensors = {}
  for path, variable in pretrained.weights(model).items():
    shape = variable.shape[1:] if names.stacks(path) else variable.shape
    name = names.source(path, 0 if names.stacks(path) else None)
    axes = names.target(name)[2] or range(len(shape))
    theirs = [shape[list(axes).index(i)] for i in range(len(shape))]
    tensors[name] = np.ones(theirs, np.float32)
  save_file(tensors, tmp_path / "model.safetensors")
  config.init = str(tmp_path)
  with pytest.raises(ValueError, match="do not show `groups`: give it"):
    initial.family_of(config)
  config.model.groups = 1
  assert initial.family_of(config) is names
  (tmp_path / "config.json").write_text('{"n_groups": 1, "use_bias": true}')
  with pytest.raises(ValueError, match="use_bias is True, `mamba` has False"):
    initial.family_of(config)


def test_another_network_is_refused(tmp_path):
  init = trained(tmp_path)
  config = tiny()
  config.model.update(hidden=(24, 8))
  config.init = init
  with pytest.raises(ValueError, match=r"does not fit this (?s:.*)mis-shaped"):
    loop.train(config, tmp_path / "student")
  assert not (tmp_path / "student").exists()


def test_no_such_start(tmp_path):
  config = tiny()
  for init in (str(tmp_path / "nowhere"), "bert-base-uncased", "https://x/y"):
    config.init = init
    with pytest.raises(FileNotFoundError, match=f"no '{init}'.*hf download"):
      loop.train(config, tmp_path / "run")
  config.init = str(tmp_path / "model.safetensors")
  with pytest.raises(ValueError, match="table of checkpoint names"):
    loop.train(config, tmp_path / "run")
  assert not (tmp_path / "run").exists()


def test_a_run_traces_its_step_once(tmp_path, monkeypatch):
  config = tiny()
  config.model.update(weight="ste|learned", act="shift > ste")
  traces = []
  task = registry.get("task", config.task.name)
  loss = task.loss
  monkeypatch.setattr(task, "loss", lambda *a: traces.append(None) or loss(*a))
  loop.train(config, tmp_path / "run")
  assert len(traces) == 1


STEPS = "elastic|learned_step"


def test_first_steps_are_set_from_the_first_batch(tmp_path):
  config = tiny(weight=None, act=STEPS)
  config.events = ((0, "init_steps"),)
  job, _ = loop.check(config, tmp_path / "run")
  assert job.events == [(0, "init_steps")]
  batches = datasets.make_train_batches(job.config, job.train_source)
  with contextlib.closing(batches):
    batch = evaluate.put(next(batches), job.sharded)
  event = step.make_event(
    job.stages[0].network, "init_steps", job.task, steps=8, epochs=job.epochs
  )
  state = event(loop.first_state(job), batch)
  steps = {
    path: value
    for path, value in nnx.to_flat_state(nnx.State(state["params"]))
    if path[-1] == "step"
  }
  assert steps
  assert all(value.reshape(()) != 1 for value in steps.values())
  loop.train(config, tmp_path / "whole")


def test_a_later_stage_needs_its_event_too(tmp_path):
  config = tiny(weight=None, act=STEPS)
  config.stages = (
    {"until": 0.5, "model": {"act": None}},
    {"until": 1.0},
  )
  config.events = ((0, "init_steps"),)
  with pytest.raises(ValueError, match="'init_steps' at step 4 or later"):
    loop.train(config, tmp_path / "run")
  assert not (tmp_path / "run").exists()
  config.events = ((0.5, "init_steps"),)
  loop.train(config, tmp_path / "run")


def test_a_resumed_run_does_not_need_its_start_any_more(tmp_path):
  config = tiny()
  config.init = trained(tmp_path)
  loop.train(config, tmp_path / "run")
  (tmp_path / "teacher").rename(tmp_path / "elsewhere")
  assert loop.train(config, tmp_path / "run").resumed


def test_a_transform_alone_measures_nothing(tmp_path):
  init = trained(tmp_path)
  config = tiny(weight="standardize > float")
  config.init = init
  got = started(config, tmp_path)
  tensors = pretrained.weights(bx.load(init)[0])
  assert set(got) == set(tensors)
  for name, want in tensors.items():
    np.testing.assert_array_equal(got[name], want, err_msg=name)
