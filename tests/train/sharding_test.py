"""Shared parameters: which axes, and the same run as on one device."""

import json
import os
import subprocess
import sys
import types

import jax
import numpy as np
import pytest
from flax import nnx
from jax.sharding import PartitionSpec

import bnnjax as bx
from bnnjax import models
from bnnjax.train import config_file, loop, sharding

CONFIG = "configs/plays_lm.py:method=bi_mamba,smoke"
# The average of a parameter lies like it, parts of a batch where that lies.
OPTIM = ["--config.optim.ema=0.5", "--config.optim.accumulate=2"]
# Runs where eight devices are: results, where parameters lie, traces of a step.
EIGHT = f"""
import jax, json, sys
from bnnjax.core import registry
from bnnjax.train import config_file, identity, job, loop
mesh = ["--config.mesh.fsdp=2", "--config.mesh.tensor=2"]
config = config_file.read({CONFIG!r}, [*mesh, *{OPTIM!r}])
traces = []
task = registry.get("task", config.task.name)
loss = task.loss
task.loss = lambda *a: traces.append(None) or loss(*a)
metrics = loop.train(config, sys.argv[1]).metrics
state = loop.first_state(job.Job(config))
mixer = state["params"]["blocks"]["layer"]["mixer"]
kernel = mixer["in_proj"]["kernel"]
mean = state["ema"]["params"]["blocks"]["layer"]["mixer"]["in_proj"]["kernel"]
moments = state["opt"][1][0].mu["blocks"]["layer"]["mixer"]["in_proj"]
print(json.dumps({{
  "metrics": metrics,
  "shape": kernel.shape,
  "part": kernel.addressable_shards[0].data.shape,
  "mean": mean.addressable_shards[0].data.shape,
  "moment": moments["kernel"].addressable_shards[0].data.shape,
  "whole": mixer["A_log"].sharding.is_fully_replicated,
  "traces": len(traces),
  "digests": [identity.of_arrays(x) for x in (state, jax.device_get(state))],
}}))
"""


def test_a_run_whose_parameters_are_shared(tmp_path):
  one = loop.train(config_file.read(CONFIG, OPTIM), tmp_path / "one").metrics
  done = subprocess.run(
    [sys.executable, "-c", EIGHT, str(tmp_path / "eight")],
    env={**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "8"},
    capture_output=True,
    text=True,
    timeout=300,
  )
  assert done.returncode == 0, done.stderr
  got = json.loads(done.stdout.splitlines()[-1])
  np.testing.assert_allclose(got["metrics"]["loss"], one["loss"], rtol=1e-4)
  layers, before, after = got["shape"]
  for part in ("part", "mean", "moment"):
    assert got[part] == [layers, before // 2, after // 2]
  assert got["whole"]
  assert got["traces"] == 1
  assert len(set(got["digests"])) == 1  # shared or whole, the same content


# What is split the other way round: tables, and what follows another layer.
ROW = {"embedding", "table", "out", "out_proj", "x_proj", "down", "reduce"}
SMALL = {"features": 16, "blocks": 1}
BLOCK = {**SMALL, "heads": 2, "weight": "bivit", "act": "bivit"}
MODELS = (
  {"name": "mlp"},
  {"name": "resnet", "variant": "8", "layout": "real_to_binary"},
  {
    "name": "pokebnn",
    "stages": ((16, 1),),
    "init_features": 8,
    "stem_features": 16,
  },
  {"name": "vit", "patch": 4, **BLOCK},
  {"name": "bert", **BLOCK, "embedding": "fbi_llm"},
  {"name": "decoder", **BLOCK, "hidden": 8},
  {"name": "mamba", **SMALL, "state": 4, "head_size": 8},
  {"name": "mamba", **SMALL, "state": 4, "kind": "mamba1"},
)


@pytest.mark.parametrize("config", MODELS, ids=lambda c: c["name"])
def test_names(config):
  """What a layer gives is shared by `tensor`; the next contracts it so."""
  fixed = {"num_classes": 3, "image_shape": (8, 8, 3)}
  if config["name"] in ("bert", "decoder", "mamba"):
    fixed = {"vocab": 20, "max_len": 8}
  model = models.abstract(lambda rngs: models.make(config, rngs=rngs, **fixed))
  ways = set()
  for path, variable in nnx.to_flat_state(nnx.state(model, nnx.Param)):
    ndim = len(variable.shape)
    stacked = variable.get_metadata("stacked", False)
    way = ("tensor", "fsdp") if ROW & set(path) else ("fsdp", "tensor")
    if ndim - stacked < 2 or not variable.get_metadata("decay", True):
      way = (None,) * ndim
    want = (*(None,) * (ndim - len(way)), *way)
    assert sharding.names(variable) == want, path
    ways.add(want[-2:])
  assert ways - {(None,), (None, None)} == {
    ("fsdp", "tensor"),
    *([("tensor", "fsdp")] if config["name"] != "mlp" else []),
  }


def test_a_layer_says_how_its_weight_is_shared():
  make = lambda **o: bx.Linear(4, 2, **o, rngs=nnx.Rngs(0))  # noqa: E731
  row = nnx.eval_shape(lambda: make(weight="xnor_net", parallel="row"))
  assert row.kernel.out_sharding == ("tensor", "fsdp")
  spec = nnx.get_partition_spec(nnx.state(row))["kernel"].get_value()
  assert spec == PartitionSpec("tensor", "fsdp")
  home = nnx.eval_shape(
    lambda: make(
      weight=bx.QuantizedWeight(bx.WeightTerm(np.ones((4, 2)), "ste|learned")),
      parallel="row",
    )
  )
  for _, variable in nnx.to_flat_state(nnx.state(home.weight, nnx.Param)):
    assert sharding.names(variable) == ("tensor", "fsdp")
  mesh = sharding.make_mesh()
  with jax.set_mesh(mesh):  # flax does not place what a layer makes
    assert nnx.eval_shape(make).kernel.out_sharding == ("fsdp", "tensor")
  with pytest.raises(ValueError, match="Unknown way .* mean 'column'"):
    make(parallel="colum")


def test_variables_without_names_and_with_their_own():
  matrix = np.ones((4, 2), np.float32)
  assert sharding.names(nnx.Param(matrix)) == ("fsdp", "tensor")
  assert sharding.names(nnx.Param(matrix, decay=False)) == (None, None)
  options = {"eager_sharding": False, "out_sharding": (("data", "fsdp"),)}
  own = sharding.names(nnx.Param(matrix, **options))
  assert own == (("data", "fsdp"), None)
  mesh = types.SimpleNamespace(shape={"data": 2, "fsdp": 2, "tensor": 1})
  assert sharding.spec(own, (4, 2), mesh) == PartitionSpec(own[0], None)
  assert sharding.spec(own, (6, 2), mesh) == PartitionSpec(None, None)
  with pytest.raises(ValueError, match="axis of the mesh 'tenor'.*'tensor'"):
    sharding.spec(("tenor",), (4,), mesh)
  rules = {**options, "out_sharding": ("embed", None)}
  logical = nnx.Param(matrix, sharding_rules=(("embed", "fsdp"),), **rules)
  assert sharding.names(logical) == ("fsdp", None)


def test_axes_that_do_not_divide_are_whole():
  mesh = types.SimpleNamespace(shape={"fsdp": 2, "tensor": 3})
  got = sharding.spec((None, "fsdp", "tensor"), (3, 4, 5), mesh)
  assert got == PartitionSpec(None, "fsdp", None)


def test_errors():
  with pytest.raises(ValueError, match=r"got fsdp=\d+ times tensor=1"):
    sharding.make_mesh(fsdp=3 * jax.device_count())
  with pytest.raises(ValueError, match="'config.mesh.fsdp'"):
    config_file.read(CONFIG, ["--config.mesh.fsdpp=2"])
