import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from etils import epath
from flax import nnx

from bnnjax.core.progress import Mode, Progress
from bnnjax.layers import linear, stack
from bnnjax.layers.quantized_weight import QuantizedWeight
from bnnjax.layers.weight_terms import WeightTerm
from bnnjax.report import record as record_lib
from bnnjax.train import diagnostics, loop, state
from tests.train.small_runs import tiny


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
  """Workdir and metrics of a run of eight steps with diagnostics."""
  config, folder = tiny(), tmp_path_factory.mktemp("watched") / "run"
  config.diagnostics = 3
  return folder, loop.train(config, folder).metrics


def test_lines_at_an_interval(watched):
  text = (watched[0] / "diagnostics.jsonl").read_text()
  written = [json.loads(line) for line in text.splitlines()]
  assert [x["step"] for x in written] == [3, 6]
  for line in written:
    assert line["estimating_error"] > 0
    assert line["gradient_variance"] > 0
    assert set(line["layers"]) == {"layers.0.kernel", "layers.1.kernel"}
    for name, layer in line["layers"].items():
      sizes = {"layers.0.kernel": 16 * 8, "layers.1.kernel": 8 * 8}
      assert sum(layer["histogram"]) == sizes[name]
      assert 0 <= layer["flips"] <= 1
      assert -1 <= layer["balance"] <= 1
  assert any(x["layers"]["layers.1.kernel"]["flips"] > 0 for x in written)


def test_the_record_has_the_measures_of_the_last_line(watched):
  *_, line = (watched[0] / "diagnostics.jsonl").read_text().splitlines()
  line, measures = json.loads(line), ("estimating_error", "gradient_variance")
  (record,) = record_lib.read(watched[0] / "record.jsonl")
  for name in measures:
    assert record["metrics"][name] == line[name]
    layers = [layer[name] for layer in line["layers"].values()]
    np.testing.assert_allclose(line[name], np.mean(layers), rtol=1e-6)


def test_off_by_default_and_without_effect_on_the_run(tmp_path, watched):
  plain = loop.train(tiny(), tmp_path / "plain")
  assert not (tmp_path / "plain" / "diagnostics.jsonl").exists()
  (record,) = record_lib.read(tmp_path / "plain" / "record.jsonl")
  assert "estimating_error" not in record["metrics"]
  np.testing.assert_equal(plain.metrics, watched[1])


class Layer(nnx.Module):
  def __init__(self, rngs, weight="ste"):
    self.inner = linear.Linear(4, 4, weight=weight, act="ste", rngs=rngs)

  def __call__(self, x, mode=None, cache=None):
    return self.inner(x, mode)


class Model(nnx.Module):
  """A stack of two layers and one more."""

  def __init__(self, rngs, weight="ste", last="ste"):
    layer = functools.partial(Layer, weight=weight)
    self.stack = stack.Stack(layer, 2, rngs=rngs)
    self.last = Layer(rngs, last)

  def __call__(self, x, mode=None):
    return self.last(self.stack(x, mode), mode)


class Task:
  def loss(self, model, batch, mode, guide):
    loss = jnp.sum(model(batch, mode))
    return loss, {"loss": loss}


@pytest.fixture(scope="module")
def made():
  """A network, its diagnosis, states that moved at random, and a batch."""
  network = state.Network.of(Model)
  diagnose = diagnostics.make_diagnose(network, Task(), steps=8, epochs=1.0)
  params, rest = network.variables(0)
  rng = np.random.default_rng(0)

  def moved(step):
    new = jax.tree.map(
      lambda x: x + rng.normal(0, 0.5, x.shape).astype(x.dtype), params
    )
    return {"params": new, "rest": rest, "step": jnp.asarray(step)}

  return network, diagnose, [moved(step) for step in range(9)], jnp.ones((3, 4))


def test_flips_go_on_after_a_resume_inside_an_interval(tmp_path, made):
  """The signs at the last line are kept, not those at the checkpoint."""
  network, diagnose, states, batch = made

  def watch(folder, first, **options):
    return diagnostics.Diagnostics(
      epath.Path(tmp_path / folder), 3, diagnose, network,
      first["params"], **options
    )  # fmt: skip

  (tmp_path / "whole").mkdir()
  (tmp_path / "split").mkdir()
  whole = watch("whole", states[0])
  for number in range(1, 9):
    whole.step(number, states[number], batch)
  part = watch("split", states[0])
  for number in range(1, 6):
    part.step(number, states[number], batch)
  saved = part.saved()
  part.step(6, states[6], batch)  # a line that the kill after it loses
  like = diagnostics.saved_like(3, states[0]["params"], network)
  assert jax.tree.map(lambda x: (x.shape, x.dtype, x.sharding), saved) == (
    jax.tree.map(lambda x: (x.shape, x.dtype, x.sharding), like)
  )
  part = watch("split", states[5], before=saved, start=5)
  for number in range(6, 9):
    part.step(number, states[number], batch)
  expected = (tmp_path / "whole" / "diagnostics.jsonl").read_text()
  assert (tmp_path / "split" / "diagnostics.jsonl").read_text() == expected
  line = json.loads(expected.splitlines()[1])
  assert set(line["layers"]) == {
    "stack.layer.inner.kernel.0",
    "stack.layer.inner.kernel.1",
    "last.inner.kernel",
  }
  assert any(x["flips"] > 0.1 for x in line["layers"].values())


def test_the_estimating_error_has_the_power_of_the_step():
  """Halfway from 1 to 3, the power is 2: f(w) is the signed square root."""

  def model(rngs):
    fixed = WeightTerm(jnp.full((4, 4), 1 / 8), "reste(o=3.0)")
    weight = "reste(o=linear(start=1.0, end=3.0))"
    return Model(rngs, weight, QuantizedWeight(fixed))

  network = state.Network.of(model)
  mode = Mode.training(Progress.at(4, 8, 1.0))
  found = diagnostics.powers(network, mode)
  np.testing.assert_array_equal(found["stack.layer.inner.kernel"], [2.0, 2.0])
  assert found["last.inner.weight.values.0"] == 3.0
  params, rest = network.variables(0)
  diagnose = diagnostics.make_diagnose(network, Task(), steps=8, epochs=1.0)
  now = {"params": params, "rest": rest, "step": jnp.asarray(4)}
  before = diagnostics.saved_like(3, params, network)
  before = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), before)
  line, _ = diagnose(now, before, jnp.ones((3, 4)), None)
  stacked = np.asarray(params["stack"]["layer"]["inner"]["kernel"])
  want = [np.linalg.norm(np.abs(w).ravel() ** (1 / 2) - 1) for w in stacked]
  want.append(np.sqrt(16) * (1 - 0.5))  # the cube root of 1/8
  np.testing.assert_allclose(line["estimating_error"], np.mean(want), rtol=1e-5)


def test_a_network_without_binarized_weights_has_no_measure():
  network = state.Network.of(lambda rngs: Model(rngs, None, None))
  params, rest = network.variables(0)
  diagnose = diagnostics.make_diagnose(network, Task(), steps=8, epochs=1.0)
  now = {"params": params, "rest": rest, "step": jnp.asarray(4)}
  line, signs = diagnose(now, {}, jnp.ones((3, 4)), None)
  assert line == {"layers": {}}
  assert signs == {}


def test_nothing_is_saved_when_off(tmp_path, made):
  network, diagnose, states, batch = made
  watch = diagnostics.Diagnostics(
    epath.Path(tmp_path), 0, diagnose, network, states[0]["params"]
  )
  watch.step(3, states[1], batch)
  assert watch.saved() == {}
  assert diagnostics.saved_like(0, states[0]["params"], network) == {}
  assert not list(tmp_path.iterdir())
