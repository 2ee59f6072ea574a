"""Averages of parameters; `stops_test` has whole runs with one."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from bnnjax import tasks
from bnnjax.layers.linear import Linear
from bnnjax.layers.norm import BatchNorm
from bnnjax.train import ema, step
from bnnjax.train.networks import Network
from bnnjax.train.state import make_state

BATCH = {
  "image": np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32),
  "label": np.array([0, 1, 0, 1], np.int32),
}


class Small(nnx.Module):
  """A latent, a flipped and a float weight, batch statistics, a fixed kernel."""

  def __init__(self, rngs, scale=""):
    self.first = Linear(3, 4, weight=f"ste{scale}", use_bias=False, rngs=rngs)
    self.norm = BatchNorm(4, rngs=rngs)
    self.flipped = Linear(4, 2, weight="bop", rngs=rngs)
    self.fixed = nnx.BatchStat(jnp.full((3,), 1 / 3))
    self.calls = nnx.BatchStat(jnp.zeros((), jnp.int32))

  def __call__(self, x, mode):
    self.calls[...] += 1
    x = self.norm(self.first(x * self.fixed[...], mode), mode)
    return self.flipped(x, mode)


def optimizer():
  """Steps of 0.1 against the gradient's sign; binary weights flip in turn."""

  def update(grads, state, params):
    flat = jax.tree.map(lambda g: -0.1 * jnp.where(g >= 0, 1.0, -1.0), grads)
    flat["flipped"]["kernel"] = -2 * params["flipped"]["kernel"]
    return flat, state

  return optax.GradientTransformation(lambda _: optax.EmptyState(), update)


def moved(mean, values, share):
  """`mean + share (values - mean)` in numpy."""
  return jax.tree.map(
    lambda m, x: np.asarray(m) + share * (np.asarray(x) - m), mean, values
  )


def close(got, want, rtol=1e-5):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-6),
    got,
    want,
  )


def test_average_by_hand():
  """Of parameters and batch statistics; signs stay signs, constants constant."""
  network, rule = Network.of(Small), optimizer()
  task = tasks.build({"name": "classification"})
  train = step.make_train_step(
    network, rule, task, steps=20, epochs=1.0, average=ema.Average(0.5, began=2)
  )
  state = {**make_state(network, rule, 0), "step": jnp.int32(2)}
  state, metrics = ema.begin(network, state), task.train_metrics.empty()
  want = {k: jax.device_get(state[k]) for k in ("params", "rest")}
  for t in range(12):
    state, metrics = train(state, metrics, BATCH, None)
    now = {k: state[k] for k in want}
    want = moved(want, now, max(0.5, 9 / (10 + t)))  # 0.5 from t = 8 on
  given = ema.deployed(state)
  flipped = given["params"]["flipped"]["kernel"]
  np.testing.assert_array_equal(flipped, state["params"]["flipped"]["kernel"])
  np.testing.assert_array_equal(given["rest"]["fixed"], np.float32(1 / 3))
  want["params"]["flipped"]["kernel"] = flipped
  assert given["rest"]["calls"].dtype == jnp.int32
  want["rest"]["calls"] = 12
  close(given, want)
  before = state["params"]["first"]["kernel"]
  assert np.abs(given["params"]["first"]["kernel"] - before).max() > 0.01


def test_what_an_event_sets_is_taken_over():
  before = {"params": jnp.array([1.0, 2.0]), "ema": {"params": jnp.zeros(2)}}
  after = ema.follow(before, {**before, "params": jnp.array([5.0, 2.0])})
  np.testing.assert_array_equal(after["ema"]["params"], [5.0, 0.0])


def test_half_precision_is_averaged_in_full():
  """A share of 1e-4 of a bfloat16 would be lost."""
  network = Network.of(
    lambda rngs: Linear(2, 2, param_dtype="bfloat16", rngs=rngs)
  )
  begin = lambda: ema.begin(network, make_state(network, optax.sgd(0.1), 0))  # noqa: E731
  state = jax.eval_shape(begin)
  assert state["ema"]["params"]["kernel"].dtype == jnp.float32
  given = jax.eval_shape(ema.deployed, state)
  assert given["params"]["kernel"].dtype == jnp.bfloat16
