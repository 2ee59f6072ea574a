"""BiPer against its authors' code."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from bnnjax.core.progress import DEPLOYED, Mode, Progress
from bnnjax.core.spec import parse
from bnnjax.methods.biper import biper, sine_penalty
from bnnjax.methods.bireal import approx_sign
from bnnjax.train import sharding, stages
from bnnjax.train.plan import Plan
from tests import golden_cases, torch_layers
from tests.train.small_runs import mlp

FILE = "biper.npz"


def hyper(case):
  freq = case.hyper("freq", r"_f(\d+)", default=biper.defaults["freq"])
  stage = 1.0 + case.hyper("stage2", default="stage1" not in case.name)
  return {"freq": freq, "stage": stage}


@golden_cases.parametrize(FILE, "act")
def test_activations(case):
  torch_layers.check_elementwise(case, lambda x: approx_sign(x, at_zero=0))


@golden_cases.parametrize(FILE, "w_stage")
def test_weights(case):
  hp = hyper(case)
  # At a node of the sine its float32 sign is noise.
  node = np.abs(np.sin(hp["freq"] * case["x"].astype(np.float64))) < 1e-5
  node &= case["x"] != 0
  y, vjp = jax.vjp(lambda x: biper(x, at_zero=0, **hp), jnp.asarray(case["x"]))
  golden_cases.check(y, case["y"], 1e-5, "y", node)
  golden_cases.check(vjp(jnp.asarray(case["gy"]))[0], case["dx"], 1e-5, "dx")


@golden_cases.parametrize(FILE, "conv")
def test_layers(case):
  zero = torch_layers.sign_hp(case)
  hp = torch_layers.sign_hp(case, **hyper(case))
  layer = torch_layers.make(
    case,
    f"biper({hp})|learned(init=1.0)",
    f"example_std > approx_sign({zero})",
  )
  alpha = layer.weight.params["scale"]
  alpha[...] = jnp.asarray(case["alpha"].reshape(alpha.shape))
  evaluates = "eval" in case.name.split("_")
  mode = DEPLOYED if evaluates else Mode.training()
  dparams = torch_layers.check(case, layer, mode)
  dalpha = dparams["weight"]["params"]["scale"]
  golden_cases.check(dalpha.ravel(), case["dalpha"].ravel(), 1e-4, "dalpha")


@golden_cases.parametrize(FILE, "reg")
def test_regularizer(case):
  hp = {"tau": case.hyper("tau"), "freq": case.hyper("freq")}
  loss, dw = jax.value_and_grad(lambda w: sine_penalty(w, **hp))(
    jnp.asarray(case["w"])
  )
  golden_cases.check(loss, case["loss"].reshape(()), 1e-5, "loss")
  golden_cases.check(dw, case["dw"], 1e-5, "dw")


def test_the_second_stage_and_the_deployed_network_are_binary():
  made = parse("biper(stage=switch(at=0.5, before=1.0, after=2.0))", "weight")
  w = jnp.array([0.01, -0.01, 0.0, 0.2])
  run = lambda step: made(w, Mode.training(Progress.at(step, 4, 1.0)))  # noqa: E731
  np.testing.assert_allclose(run(1), np.sin(20 * w), rtol=1e-5)
  np.testing.assert_array_equal(run(2), [1, -1, 1, -1])
  np.testing.assert_array_equal(made(w), [1, -1, 1, -1])


def test_stages_hand_on_latent_weights_and_scales():
  """From the sine to its sign: the trained scale is kept, not measured anew."""
  weight = "biper(stage={})|learned(init=1.0)"
  entries = (
    {"until": 0.5, "model": {"weight": weight.format(1.0)}, "restart": True},
    {"until": 1.0, "restart": True},
  )
  config = mlp(entries, weight=weight.format(2.0), act="biper")
  first, second = Plan(config).stages(4)
  mesh = sharding.make_mesh()
  state = stages.first_state(first, 0, mesh)
  state["params"] = jax.tree.map(lambda x: x + 0.3, state["params"])
  state["opt"] = jax.tree.map(lambda x: x + 1, state["opt"])
  entered = stages.enter(second, state, 0, mesh)
  chex.assert_trees_all_equal(entered["params"], state["params"])
  anew = second.optimizer.init(state["params"])
  chex.assert_trees_all_equal(entered["opt"], anew)

  w = state["params"]["layers"][0]["kernel"]
  for stage, value in (
    (first, np.sin(20 * w)),
    (second, np.sign(np.sin(20 * w))),
  ):
    layer = stage.network.merge({**entered}).layers[0]
    got = layer.weight(layer.kernel[...], DEPLOYED)
    np.testing.assert_allclose(got.dequantize(), 1.3 * value, atol=1e-5)
