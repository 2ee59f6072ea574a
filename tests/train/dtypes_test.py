"""Low precision trains like float32: the sizes of the steps that are made."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax import data, tasks
from bnnjax.train import config as config_lib
from bnnjax.train import datasets, step
from bnnjax.train.plan import Plan
from bnnjax.train.state import make_state

STEPS = 4
CASES = {"fbi_llm": "decoder", "bi_mamba": "mamba"}


def largest_steps(method, dtype):
  """The largest change of any parameter in each step of the smoke run."""
  config = importlib.import_module("configs.plays_lm").get_config(
    f"smoke,method={method},model={CASES[method]}"
  )
  config.unlock()
  config.model.dtype = dtype
  config = config_lib.resolve(config)
  task = tasks.build(config.task)
  (stage,) = Plan(config).stages(STEPS)
  source, _ = datasets.load_data(config, task)
  batches = data.make_train_iterator(
    source,
    batch_size=config.data.batch_size,
    seed=0,
    augment=(),
    threads=1,
    workers=0,
  )
  train = step.make_train_step(
    stage.network, stage.optimizer, task, steps=STEPS, epochs=1.0
  )
  state, found = make_state(stage.network, stage.optimizer, 0), []
  metrics = task.train_metrics.empty()
  for _ in range(STEPS):
    old = jax.tree.map(np.asarray, state["params"])
    state, metrics = train(state, metrics, next(batches), None)
    moved = jax.tree.map(
      lambda a, b: float(np.abs(np.asarray(a) - b).max()), state["params"], old
    )
    found.append(max(jax.tree.leaves(moved)))
  assert int(state["bad_step"]) == -1
  assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(state["params"]))
  return np.asarray(found)


@pytest.mark.parametrize("method", CASES)
def test_steps_in_low_precision_are_those_of_float32(method):
  """A squared gradient below 6e-8 would be 0 in float16, and the step 1e8 g."""
  reference = largest_steps(method, "float32")
  assert np.all(reference > 1e-4), "the run moves"
  for dtype in ("bfloat16", "float16"):
    ratio = largest_steps(method, dtype) / reference
    print(method, dtype, reference, ratio)
    assert np.all(ratio < 2), (dtype, ratio)
    assert np.all(ratio > 0.5), (dtype, ratio)
