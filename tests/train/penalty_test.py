"""Penalties by hand: on latent weights, layer by layer, before the clip."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bnnjax.train import penalty
from bnnjax.train.plan import Plan
from tests.train.small_runs import mlp

W = np.array([[0.1, -0.2], [0.3, 0.05]], np.float32)


def slope(w, tau, freq):
  """`d/dw tau mean(sin(freq w)^2)`."""
  return tau * freq * np.sin(2 * freq * w) / w.size


def test_the_gradient_of_latent_weights_alone():
  rule = penalty.add_penalty(
    "sine(tau=0.5, freq=2.0)", {"a": "latent", "b": "float"}
  )
  params = {"a": jnp.asarray(W), "b": jnp.asarray(W)}
  ones = jax.tree.map(jnp.ones_like, params)
  got, _ = rule.update(ones, rule.init(params), params)
  np.testing.assert_allclose(got["a"], 1 + slope(W, 0.5, 2.0), rtol=1e-5)
  np.testing.assert_array_equal(got["b"], ones["b"])


def test_layers_of_a_stack_count_one_by_one():
  rule = penalty.add_penalty("sine(freq=2.0)", "latent", True)
  w = jnp.asarray(np.stack([W, 2 * W]))
  got, _ = rule.update(jnp.zeros_like(w), rule.init(w), w)
  want = [slope(W, 0.037, 2.0), slope(2 * W, 0.037, 2.0)]
  np.testing.assert_allclose(got, want, rtol=1e-5)


def test_a_stage_has_its_own_and_the_clip_comes_after():
  """SGD: `-lr g / |g|` of the gradient of the penalty, in stage 1 alone."""
  config = mlp(
    (
      {"until": 0.5, "optim": {"penalty": "sine(freq=2.0)"}},
      {"until": 1.0, "restart": True},
    ),
    {"name": "sgd", "schedule": "constant", "lr": 0.5, "grad_clip": 1e-3},
  )
  first, second = Plan(config).stages(4)
  params = first.network.variables(0)[0]
  zeros = jax.tree.map(jnp.zeros_like, params)
  for stage, norm in ((first, 0.5 * 1e-3), (second, 0.0)):
    updates, _ = stage.optimizer.update(
      zeros, stage.optimizer.init(params), params
    )
    np.testing.assert_allclose(optax.tree.norm(updates), norm, rtol=1e-4)


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("sin", "Unknown penalty 'sin'. Did you mean 'sine'"),
    ("sine(to=1.0)", "Unknown hyper-parameter of penalty 'sine' 'to'"),
    ("sine(tau=-1.0)", "`tau` of penalty 'sine' must be a number >= 0, got"),
    ("sine(tau=linear())", "`tau` of penalty 'sine' is constant in a stage"),
  ],
)
def test_penalties_that_do_not_exist(text, message):
  with pytest.raises(ValueError, match=message):
    penalty.parse(text)


def test_a_network_without_latent_weights():
  config = mlp((), {"penalty": "sine"}, weight=None)
  with pytest.warns(UserWarning, match="no latent weights.*`optim.penalty`"):
    Plan(config).check_used()
