import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bnnjax.train.bop import bop


def oracle(w, gradients, gamma, threshold):
  """Algorithm 1 of the paper, a weight at a time."""
  w, m = w.copy(), np.zeros_like(w)
  for g in gradients:
    for i in np.ndindex(w.shape):
      m[i] = (1 - gamma) * m[i] + gamma * g[i]
      if abs(m[i]) > threshold and np.sign(m[i]) == np.sign(w[i]):
        w[i] = -w[i]
  return w


@pytest.mark.parametrize(
  ("gamma", "threshold"), [(0.3, 0.2), (1.0, 0.0), (0.05, 0.05)]
)
def test_against_the_algorithm(gamma, threshold):
  rng = np.random.default_rng(0)
  w = rng.choice([-1.0, 1.0], (4, 5)).astype(np.float32)
  gradients = rng.normal(size=(30, 4, 5)).astype(np.float32)
  rule = bop(gamma, threshold)
  params = {"w": jnp.asarray(w)}
  state = rule.init(params)
  for g in gradients:
    updates, state = rule.update({"w": jnp.asarray(g)}, state, params)
    params = optax.apply_updates(params, updates)
    assert set(np.unique(params["w"])) <= {-1.0, 1.0}
  want = oracle(w, gradients, gamma, threshold)
  np.testing.assert_array_equal(params["w"], want)
  assert (want != w).any()


def test_a_gradient_schedule_of_the_rate():
  rule = bop(lambda count: jnp.where(count < 1, 1.0, 0.0), 0.5)
  params = {"w": jnp.array([1.0, 1.0])}
  state = rule.init(params)
  updates, state = rule.update({"w": jnp.array([0.6, -0.6])}, state, params)
  np.testing.assert_array_equal(updates["w"], [-2, 0])


def test_errors():
  with pytest.raises(ValueError, match=r"`gamma` must be in \(0, 1\], got 0"):
    bop(0)
  with pytest.raises(ValueError, match="must not be negative, got -1"):
    bop(0.1, -1)
