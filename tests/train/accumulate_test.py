"""Microbatches: the same gradient in less memory, with their own draws."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from bnnjax import tasks
from bnnjax.core.progress import Mode, Progress
from bnnjax.layers.linear import Linear
from bnnjax.tasks import base
from bnnjax.train import accumulate, step
from bnnjax.train.networks import Network
from bnnjax.train.state import make_state

RNG = np.random.default_rng(0)
TABLE = jnp.asarray(RNG.normal(size=(7, 7)), jnp.float32)
MODE = Mode.training(Progress.at(3, 10, 1.0))


class Signs(nnx.Module):
  """Binary layers, and a count of the calls."""

  def __init__(self, rngs, hidden=8):
    low = {"weight": "ste|channel_l1", "act": "ste"}
    self.layers = nnx.List(
      Linear(n, m, **low, rngs=rngs) for n, m in ((6, hidden), (hidden, 3))
    )
    self.calls = nnx.BatchStat(jnp.zeros(()))

  def __call__(self, x, mode):
    self.calls[...] = self.calls[...] + 1
    x = self.layers[0](x, mode)
    return self.layers[1](jax.nn.tanh(x), mode)


def images(size=24):
  return {
    "image": RNG.normal(size=(size, 6)).astype(np.float32),
    "label": RNG.integers(0, 3, size).astype(np.int32),
  }


def close(got, want):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6),
    got,
    want,
  )


def trained(parts, batches):
  network, rule = Network.of(Signs), optax.adam(0.01)
  task = tasks.build({"name": "classification", "label_smoothing": 0.1})
  train = step.make_train_step(
    network, rule, task, steps=9, epochs=1.0, accumulate=parts
  )
  state, metrics = make_state(network, rule, 0), task.train_metrics.empty()
  for batch in batches:
    state, metrics = train(state, metrics, batch, None)
  return state, metrics.compute()


def test_parts_of_a_batch_are_the_batch():
  """After three steps of Adam: k times b is kb."""
  batches = [images() for _ in range(3)]
  want, metrics = trained(1, batches)
  got, also = trained(4, batches)
  close(got["params"], want["params"])
  close(also, metrics)
  assert got["rest"]["calls"] == 3 * 4  # statistics go from one to the next


class Words(nnx.Module):
  """Scores of the next word are a row of a table."""

  def __init__(self, rngs):
    del rngs
    self.table = nnx.Param(TABLE)

  def __call__(self, tokens, mode=None):
    return self.table[...][tokens]


def gradient(task, parts):
  """Of `Words`, a function of a batch."""
  found = accumulate.make_gradient(Network.of(Words), task, None, parts)
  params = {"table": TABLE}
  return jax.jit(lambda batch: found(params, {}, batch, MODE, None))


def test_parts_count_by_what_is_scored():
  """Of 12 texts 1, ..., 1, 2, 3, ... tokens are read, the first as context."""
  task = tasks.build({"name": "language_modeling"})
  scored = np.arange(5) <= np.maximum(np.arange(12) - 7, 0)[:, None]
  batch = {
    "tokens": RNG.integers(0, 7, (12, 5)).astype(np.int32),
    "scored": scored,
    "chars": np.ones((12, 5), np.int32),
  }
  by_parts = gradient(task, 12)
  (loss, (_, outputs)), want = gradient(task, 1)(batch)
  (also, (_, mine)), got = by_parts(batch)
  close((also, mine, got), (loss, outputs, want))
  (loss, _), got = by_parts({**batch, "scored": scored & False})
  assert loss == 0
  assert not np.any(got["table"])


def test_every_part_draws_its_own():
  class Task(base.Task):
    def loss(self, model, batch, mode, teacher):
      drawn = jax.random.uniform(mode.fold_in(jax.random.key(0)))
      loss = drawn * jnp.sum(model.table[...])
      return loss, {"drawn": drawn[None], "loss": loss}

  batch = {"x": np.zeros((3, 1))}
  (_, (_, got)), _ = gradient(Task(), 3)(batch)
  key = jax.random.fold_in(jax.random.key(0), 3)
  want = [jax.random.uniform(jax.random.fold_in(key, i)) for i in range(3)]
  np.testing.assert_allclose(got["drawn"], want)
  with pytest.raises(ValueError, match=r"'drawn' .* each of the 2 examples"):
    gradient(Task(), 3)({"x": np.zeros((6, 1))})
  Task.weighted = True
  with pytest.raises(ValueError, match="return the output `weight`.* drawn"):
    gradient(Task(), 3)(batch)


def test_memory_is_that_of_a_part():
  network = Network.of(lambda rngs: Signs(rngs, 512))
  task = tasks.build({"name": "classification"})
  params, rest = jax.eval_shape(lambda: network.variables(0))

  def bytes_of(parts):
    found = accumulate.make_gradient(network, task, None, parts)
    call = lambda p, r, b: found(p, r, b, MODE, None)  # noqa: E731
    compiled = jax.jit(call).lower(params, rest, images(1024)).compile()
    return compiled.memory_analysis().temp_size_in_bytes

  assert bytes_of(8) < bytes_of(1) / 4


@pytest.mark.parametrize(
  ("name", "distance", "refused"),
  [
    ("classification", "direction", True),
    ("classification", "mse", False),
    ("masked_lm", "mse", True),
    ("language_modeling", "direction_per_example", True),
  ],
)
def test_a_loss_of_the_whole_batch_is_refused(name, distance, refused):
  match = {"hidden_states": distance}
  task = tasks.build(
    {"name": name, "distill": {"teacher": "x", "match": match}}
  )
  accumulate.check(task, 1)
  if not refused:
    return accumulate.check(task, 2)
  with pytest.raises(
    ValueError, match=f"`distill.match` of 'hidden_states' by '{distance}' is"
  ):
    accumulate.check(task, 2)
