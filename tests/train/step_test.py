"""What a step notices: broken batches, gradients, parameters, dtypes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from bnnjax import tasks
from bnnjax.layers.linear import Linear
from bnnjax.train import accumulate, step
from bnnjax.train.networks import Network
from bnnjax.train.state import make_state

BATCH = {
  "image": np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32),
  "label": np.array([0, 1, 0, 1], np.int32),
}


class Signs(nnx.Module):
  """A layer that reads nothing but signs."""

  def __init__(self, rngs):
    self.layer = Linear(3, 2, weight="ste", act="ste", rngs=rngs)

  def __call__(self, x, mode):
    return self.layer(x, mode)


def bad_step(batch, optimizer=None):
  """`bad_step` after two steps, the second of which is given `batch`."""
  network = Network.of(Signs)
  optimizer = optimizer or optax.sgd(0.1)
  task = tasks.build({"name": "classification"})
  train = step.make_train_step(network, optimizer, task, steps=2, epochs=1.0)
  state, metrics = make_state(network, optimizer, 0), task.train_metrics.empty()
  with jax.disable_jit():
    for given in (BATCH, batch):
      state, metrics = train(state, metrics, given, None)
  return int(state["bad_step"])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_broken_pixel_behind_a_sign(value):
  """The sign of infinity is 1: no loss tells of it."""
  assert bad_step(BATCH) == -1
  image = BATCH["image"].copy()
  image[2, 1] = value
  assert bad_step({**BATCH, "image": image}) == 1


def test_a_parameter_that_breaks_of_finite_gradients():
  update = lambda g, s, p: (jax.tree.map(lambda g: g * jnp.inf, g), s)  # noqa: E731
  breaks = optax.GradientTransformation(lambda p: optax.EmptyState(), update)
  assert bad_step(BATCH, breaks) == 0


def test_a_gradient_that_is_not_finite_under_a_finite_loss():
  """The square root has no slope at 0."""

  class Rooted(Signs):
    def __call__(self, x, mode):
      return jnp.sqrt(jnp.abs(self.layer(x, mode) * 0))

  network, rule = Network.of(Rooted), optax.sgd(0.1)
  task = tasks.build({"name": "classification"})
  train = step.make_train_step(network, rule, task, steps=2, epochs=1.0)
  state, metrics = make_state(network, rule, 0), task.train_metrics.empty()
  with jax.disable_jit():
    state, metrics = train(state, metrics, BATCH, None)
  assert np.isfinite(metrics.compute()["loss"])
  assert state["bad_step"] == 0


def test_finite_looks_at_floats():
  assert step.all_finite({"a": jnp.ones(3), "n": jnp.array([2**31 - 1])})
  for value in (jnp.nan, jnp.inf):
    for dtype in (jnp.float32, jnp.bfloat16, jnp.float16):
      assert not step.all_finite([jnp.ones(2), jnp.array([1, value], dtype)])


def test_a_gradient_of_another_dtype_names_its_parameter():
  params = {"layer": {"kernel": jnp.ones(2), "bias": jnp.ones(1)}}
  accumulate.check_dtypes(params, params)
  grads = {"layer": {**params["layer"], "kernel": jnp.ones(2, jnp.bfloat16)}}
  with pytest.raises(
    TypeError, match=r"gradient of 'layer\.kernel' is bfloat16, .* float32"
  ):
    accumulate.check_dtypes(params, grads)


def test_the_step_checks_when_it_is_traced():
  @jax.custom_vjp
  def careless(x):
    return x

  careless.defvjp(lambda x: (x, None), lambda _, dy: (dy.astype(jnp.bfloat16),))

  class Careless(Signs):
    def __call__(self, x, mode):
      return careless(self.layer.kernel[...])[:2].sum(0) + 0 * x[:, :2]

  network, optimizer = Network.of(Careless), optax.sgd(0.1)
  task = tasks.build({"name": "classification"})
  train = step.make_train_step(network, optimizer, task, steps=2, epochs=1.0)
  state = jax.eval_shape(lambda: make_state(network, optimizer, 0))
  metrics = task.train_metrics.empty()
  with pytest.raises(
    TypeError, match=r"gradient of 'layer\.kernel' is bfloat16"
  ):
    train.trace(state, metrics, BATCH, None)
