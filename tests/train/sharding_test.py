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

from bnnjax.train import config_file, loop, setup, sharding

CONFIG = "configs/plays_lm.py:method=bi_mamba,smoke"
# The average of a parameter lies like it, parts of a batch where that lies.
OPTIM = ["--config.optim.ema=0.5", "--config.optim.accumulate=2"]
# Runs where eight devices are: results, where parameters lie, traces of a step.
EIGHT = f"""
import jax, json, sys
from bnnjax.train import config_file, identity, loop, step
mesh = ["--config.mesh.fsdp=2", "--config.mesh.tensor=2"]
config = config_file.read({CONFIG!r}, [*mesh, *{OPTIM!r}])
run = loop.Run(config, sys.argv[1], "run", None)
traces = []
make = step.make_train_step
def counted(*args, **kwargs):
  traces.append(make(*args, **kwargs))
  return traces[-1]
step.make_train_step = counted
metrics = run.run().metrics
state = run._new_state(run.job.stages[0])
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
  "traces": traces[0]._cache_size(),
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


def test_names():
  """What a layer gives is shared by `tensor`; the next contracts it so."""
  config = config_file.read(CONFIG)
  network = setup.network_of(config)
  found = {
    ".".join(map(str, path)): sharding.names(path, variable)
    for path, variable in nnx.to_flat_state(
      nnx.state(network.abstract, nnx.Param)
    )
  }
  layer = "blocks.layer.mixer"
  assert found["embedding"] == ("tensor", "fsdp")
  assert found[f"{layer}.in_proj.kernel"] == (None, "fsdp", "tensor")
  assert found[f"{layer}.out_proj.kernel"] == (None, "tensor", "fsdp")
  assert found[f"{layer}.A_log"] == (None, None)
  assert found["norm.scale"] == (None,)


def test_axes_that_do_not_divide_are_whole():
  mesh = types.SimpleNamespace(shape={"fsdp": 2, "tensor": 3})
  got = sharding.spec((None, "fsdp", "tensor"), (3, 4, 5), mesh)
  assert got == PartitionSpec(None, "fsdp", None)


def test_errors():
  with pytest.raises(ValueError, match=r"got fsdp=\d+ times tensor=1"):
    sharding.make_mesh(fsdp=3 * jax.device_count())
  with pytest.raises(ValueError, match="'config.mesh.fsdp'"):
    config_file.read(CONFIG, ["--config.mesh.fsdpp=2"])
