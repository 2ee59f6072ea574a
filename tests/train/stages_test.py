"""The plan of stages, and what one stage hands to the next."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from bnnjax import config as config_lib
from bnnjax.layers.linear import Linear
from bnnjax.train import config as train_config
from bnnjax.train import ema, sharding, stages
from bnnjax.train.checkpoint import Checkpoints
from bnnjax.train.networks import Network
from bnnjax.train.plan import Plan
from bnnjax.train.state import make_state
from tests.train.small_runs import mlp, stopped, tiny


def test_stages_hand_the_network_on(tmp_path):
  """Activations first, then weights; the second stage starts anew."""
  config = tiny()
  config.stages = (
    {"until": 4, "model": {"weight": None}},
    {"until": 1.0, "restart": True},
  )
  stopped(config, tmp_path / "run", 4)  # at the end of the first stage
  first, second = Plan(config).stages(8)
  mesh = sharding.make_mesh()
  shapes = sharding.abstract_state(first.network, first.optimizer, mesh)
  checkpoints = Checkpoints(tmp_path / "run", create=False)
  before, *_ = checkpoints.restore("last", shapes)
  after = stages.enter(second, before, config.seed, mesh)
  chex.assert_trees_all_equal(before["params"], after["params"])
  assert int(after["step"]) == 4
  assert {int(x) for x in jax.tree.leaves(after["opt"]) if x.ndim == 0} == {0}


def test_stage_has_its_own_optimizer():
  """SGD by hand in the first; the second has the run's fields again."""
  config = tiny()
  config.optim.update(name="sgd", schedule="constant", lr=0.5)
  first = {"lr": 0.25, "weight_decay": 0.1, "latent": {"lr": 0.125}}
  config.stages = (
    {"until": 4, "model": {"weight": None}, "optim": first},
    {"until": 1.0, "restart": True},
  )
  config = config_lib.resolve(config)
  plan = Plan(config).stages(8)
  got = []
  for stage, lr, decay in zip(plan, (0.25, 0.5), (0.1, 0.0)):
    kinds = stage.network.kinds
    params = jax.tree.map(jnp.ones_like, stage.network.variables(0)[0])
    state = stage.optimizer.init(params)
    updates, _ = stage.optimizer.update(params, state, params)
    expected = jax.tree.map(
      lambda p, lr=lr, decay=decay: -lr * (p + decay * p * (p.ndim > 1)),
      params,
    )
    chex.assert_trees_all_close(updates, expected, rtol=1e-6)
    got.append(set(jax.tree.leaves(kinds)))
  assert "latent" in got[1] - got[0]  # float weights are no latent ones
  assert config.optim.to_dict() == train_config.optim_of(
    config, config.stages[1]
  )


def test_a_field_of_another_stage_may_stay_unread():
  entries = (
    {"until": 0.5, "optim": {"schedule": "constant"}},
    {"until": 1.0, "restart": True},
  )
  Plan(mlp(entries, {"end_lr": 1e-5})).stages(4)
  entries[0]["optim"]["end_lr"] = 1e-4
  with pytest.raises(ValueError, match="Nothing reads `optim.end_lr`"):
    Plan(mlp(entries)).stages(4)


def test_more_steps_than_can_be_counted():
  with pytest.raises(
    ValueError, match=r"has 2.15e\+09 steps, of which 2147483647"
  ):
    Plan(mlp()).stages(2**31)


class Small(nnx.Module):
  """A latent weight, with the scale that a stage gives it."""

  def __init__(self, rngs, scale):
    self.first = Linear(3, 4, weight=f"ste{scale}", use_bias=False, rngs=rngs)


def test_a_scale_of_the_next_stage_is_that_of_the_averaged_weights():
  rule = optax.sgd(0.1)
  old, new = (
    Network.of(lambda rngs, s=s: Small(rngs, s)) for s in ("", "|learned")
  )
  state = ema.begin(old, make_state(old, rule, 0))
  state["params"] = jax.tree.map(lambda x: 3 * x, state["params"])
  begun = ema.begin(new, make_state(new, rule, 1))
  passed = stages.carry_over(new, state, begun, fresh=True)
  for given, times in ((passed, 3), (ema.deployed(passed), 1)):
    first = given["params"]["first"]
    kernel = state["ema"]["params"]["first"]["kernel"] * times
    np.testing.assert_allclose(first["kernel"], kernel, rtol=1e-5)
    scale = np.ravel(first["weight"]["params"]["scale"])
    np.testing.assert_allclose(scale, np.mean(np.abs(kernel), 0), rtol=1e-5)
  lacks = {k: v for k, v in state.items() if k != "ema"}
  first = stages.carry_over(new, lacks, begun, fresh=True)
  chex.assert_trees_all_close(
    ema.deployed(first)["params"], first["params"], rtol=1e-5
  )


def test_an_average_of_a_stage():
  def plan(**optim):
    made = tiny()
    made.optim.update(optim)
    return Plan(made).stages(8)

  with pytest.raises(ValueError, match="must be in .0, 1., e.g. 0.999"):
    plan(ema=1.0)
  with pytest.raises(ValueError, match="Nothing reads `optim.latent.ema`"):
    plan(latent={"ema": 0.5})
  assert plan(ema=0.5)[0].average == ema.Average(0.5, 0)
  assert plan()[0].average is None


def test_a_stage_may_have_its_own_number():
  config = tiny()
  last = {"until": 1.0, "restart": True, "optim": {"accumulate": 4}}
  config.stages = ({"until": 4}, last)
  plan = Plan(config).stages(8)
  assert [stage.accumulate for stage in plan] == [1, 4]
  with pytest.raises(ValueError, match="got 16 of 5 x"):
    sharding.batch_shardings(config.mesh, config.data, [1, 5])


def test_scales_of_a_later_stage_measure_the_trained_weights():
  config = tiny()
  config.model.update(weight="ste|learned", act="ste")
  config.stages = (
    {"until": 0.5, "model": {"weight": None}},
    {"until": 1.0},
  )
  first, second = Plan(config).stages(8)
  mesh = sharding.make_mesh()
  before = stages.first_state(first, 7, mesh)
  entered = stages.enter(second, before, 0, mesh)["params"]
  entered = nnx.to_flat_state(nnx.State(entered))
  entered = {".".join(map(str, path)): value for path, value in entered}
  for name in [k for k in entered if k.endswith("weight.params.scale")]:
    kernel = entered[name.replace("weight.params.scale", "kernel")]
    axes = tuple(range(kernel.ndim - 1))
    want = np.mean(np.abs(kernel), axes, keepdims=True)
    np.testing.assert_allclose(entered[name], want, rtol=1e-6)
