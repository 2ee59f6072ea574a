"""Sown intermediates: when, in which order."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from bnnjax.core.progress import DEPLOYED, Mode
from bnnjax.layers import intermediates


class Block(nnx.Module):
  """Adds one in training, and sows what it returns."""

  def __init__(self, rngs=None):
    self.weight = nnx.Param(jnp.ones(()))

  def __call__(self, x, mode=None, *, cache=None):
    x = x + (mode is not None and mode.train)
    intermediates.sow(self, mode, keys=x)
    return x


class Model(nnx.Module):
  """A state of its own, and twelve blocks: more than one digit."""

  def __init__(self):
    self.blocks = nnx.List(Block() for _ in range(12))

  def __call__(self, x, mode=None):
    intermediates.sow(self, mode, hidden_states=x)
    for i, block in enumerate(self.blocks):
      x = block(x + i, mode)
      intermediates.sow(self, mode, hidden_states=x)
    return x


def test_in_the_order_of_layers():
  y, left = intermediates.call(Model(), jnp.zeros(()))
  sums = np.cumsum(np.arange(12))
  assert y == sums[-1]
  assert left.keys() == {"keys", "hidden_states"}
  np.testing.assert_array_equal(left["keys"], sums)
  np.testing.assert_array_equal(left["hidden_states"], [0, *sums])
  assert left.keys() <= set(intermediates.MATCHED)


def test_nothing_is_sown_unasked():
  def run(model, x):
    return model(x, DEPLOYED)

  _, sown = nnx.capture(run, nnx.Intermediate)(Model(), jnp.zeros(()))
  assert not jax.tree.leaves(sown)


def test_the_mode_is_the_given_one():
  training = Mode.training()
  y, left = intermediates.call(Model(), jnp.zeros(()), mode=training)
  assert y == 66 + 12
  assert left["keys"][0] == 1
