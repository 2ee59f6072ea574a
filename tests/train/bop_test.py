import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bnnjax import config as config_lib
from bnnjax.core.settings import Settings
from bnnjax.train.bop import BopState, bop, make_gamma
from bnnjax.train.plan import Plan
from bnnjax.train.stages import carry_over
from bnnjax.train.state import make_state


def settings_of(**given):
  return Settings("optim.bop", given, config_lib.base().optim.bop.to_dict())


def oracle(w, gradients, gammas, threshold):
  """Algorithm 1 of the paper, a weight at a time; a rate for every step."""
  w, m = w.copy(), np.zeros_like(w)
  for g, gamma in zip(gradients, gammas):
    for i in np.ndindex(w.shape):
      m[i] = (1 - gamma) * m[i] + gamma * g[i]
      if abs(m[i]) > threshold and np.sign(m[i]) == np.sign(w[i]):
        w[i] = -w[i]
  return w, m


F = np.arange(30) / 30  # of a run of as many steps
FALLING = {"gamma": 0.3, "end_gamma": 0.003}


@pytest.mark.parametrize(
  ("settings", "gammas", "threshold"),
  [
    ({"gamma": 0.3}, [0.3] * 30, 0.2),
    ({"gamma": 1.0}, [1.0] * 30, 0.0),
    ({"gamma": 0.05}, [0.05] * 30, 0.05),
    ({**FALLING, "schedule": "linear"}, 0.3 - 0.297 * F, 0.1),
    (
      {**FALLING, "schedule": "cosine"},
      0.003 + 0.297 * (1 + np.cos(np.pi * F)) / 2,
      0.1,
    ),
    ({**FALLING, "schedule": "exponential"}, 0.3 * 0.01**F, 0.1),
    ({"gamma": 0.3, "schedule": "linear"}, 0.3 * (1 - F), 0.1),
  ],
)
def test_against_the_algorithm(settings, gammas, threshold):
  """The average outlives a rate that changes."""
  rng = np.random.default_rng(0)
  w = rng.choice([-1.0, 1.0], (4, 5)).astype(np.float32)
  gradients = rng.normal(size=(30, 4, 5)).astype(np.float32)
  rule = bop(make_gamma(settings_of(**settings), 30), threshold)
  params = {"w": jnp.asarray(w)}
  state = rule.init(params)
  for g in gradients:
    updates, state = rule.update({"w": jnp.asarray(g)}, state, params)
    params = optax.apply_updates(params, updates)
    assert set(np.unique(params["w"])) <= {-1.0, 1.0}
  want, average = oracle(w, gradients, gammas, threshold)
  np.testing.assert_array_equal(params["w"], want)
  np.testing.assert_allclose(state.average["w"], average, rtol=1e-4, atol=1e-7)
  assert (want != w).any()


def test_a_gradient_schedule_of_the_rate():
  rule = bop(lambda count: jnp.where(count < 1, 1.0, 0.0), 0.5)
  params = {"w": jnp.array([1.0, 1.0])}
  state = rule.init(params)
  updates, state = rule.update({"w": jnp.array([0.6, -0.6])}, state, params)
  np.testing.assert_array_equal(updates["w"], [-2, 0])


def staged(*entries, weight="bop", **bop):
  """The stages of a run of eight steps."""
  config = config_lib.base()
  config.data.update(shape=(4, 1, 1), num_classes=2, name="fake")
  config.model = {"name": "mlp", "hidden": (3,), "weight": weight}
  config.optim.bop.update(bop)
  config.stages = entries
  return Plan(config).stages(8)


def averages(state):
  """Of all states of Bop in an optimizer's: step count and averages."""
  leaves = jax.tree.leaves(state, is_leaf=lambda x: isinstance(x, BopState))
  (found,) = (x for x in leaves if isinstance(x, BopState))
  return int(found.count), [
    np.asarray(x) for x in jax.tree.leaves(found.average)
  ]


def test_a_stage_goes_on_with_the_average_under_another_rate():
  constant = {"gamma": 0.125, "threshold": 0.25, "schedule": "constant"}
  first, second = staged(
    {"until": 4},
    {"until": 1.0, "optim": {"bop": constant}},
    gamma=0.5,
    schedule="linear",
    end_gamma=0.25,  # which the second has no use for
  )
  assert not second.fresh
  state = make_state(first.network, first.optimizer, 0)
  ones = jax.tree.map(jnp.ones_like, state["params"])
  for stage, want in ((first, [0.5]), (second, [0.125 + 0.875 * 0.5])):
    if stage is second:
      new = make_state(second.network, second.optimizer, 0)
      state = carry_over(second.network, state, new, fresh=False)
    _, opt = stage.optimizer.update(ones, state["opt"], state["params"])
    state = {**state, "opt": opt}
    for average in averages(opt)[1]:
      np.testing.assert_allclose(np.unique(average), want, rtol=1e-6)
  assert averages(state["opt"])[0] == 2


def test_a_stage_without_binary_weights_counts_for_the_next():
  """The float weights' moments and schedule go on, whatever kinds there are."""
  first, second = staged(
    {"until": 4, "model": {"weight": None}}, {"until": 1.0}
  )
  paths = [
    {
      jax.tree_util.keystr(path)
      for path, _ in jax.tree_util.tree_leaves_with_path(
        jax.eval_shape(lambda s=s: make_state(s.network, s.optimizer, 0))["opt"]
      )
    }
    for s in (first, second)
  ]
  assert {p for p in paths[0] if "float" in p} >= {
    p for p in paths[1] if "float" in p
  }


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ({"schedule": "liner"}, "Did you mean 'linear'"),
    ({"gamma": 0.0}, r"`optim.bop.gamma` must be in \(0, 1\], got 0.0"),
    (
      {"schedule": "exponential"},
      r"`optim.bop.end_gamma` must be in \(0, 1\] with .*'exponential', got 0.0",
    ),
    ({"schedule": "linear", "end_gamma": 2.0}, r"in \[0, 1\] with .* got 2.0"),
    ({"end_gamma": 0.1}, "Nothing reads `optim.bop.end_gamma` with the sched"),
  ],
)
def test_settings_that_cannot_be_meant(given, message):
  with pytest.raises(ValueError, match=message):
    staged({"until": 1.0}, **given)


def test_errors():
  with pytest.raises(ValueError, match=r"`gamma` must be in \(0, 1\], got 0"):
    bop(0)
  with pytest.raises(ValueError, match="must not be negative, got -1"):
    bop(0.1, -1)
