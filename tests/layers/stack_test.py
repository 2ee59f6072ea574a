"""A stack of layers equals the layers one after the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax import models
from bnnjax.core.progress import DEPLOYED, Mode, Progress
from bnnjax.layers import intermediates
from bnnjax.layers.binarizer_state import reinitialize_from_weights
from bnnjax.layers.linear import Linear
from bnnjax.layers.stack import Stack
from tests.filled_models import filled

# A running bound for the inputs, a learned scale for the weights.
LOW = {"weight": "fbi_llm", "act": "symmetric(bits=8)|ema_bound"}
X = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)), jnp.float32)
TRAINING = Mode.training(Progress.at(1, 10, 1.0))


class Layer(nnx.Module):
  """A linear layer that counts what it has seen."""

  def __init__(self, rngs):
    self.linear = Linear(4, 4, **LOW, rngs=rngs)

  def __call__(self, x, mode=DEPLOYED, *, cache=None):
    y = x + self.linear(x, mode)
    return y if cache is None else (y, cache + y.sum())


def make(layers=3, **options):
  return filled(lambda rngs: Stack(Layer, layers, **options, rngs=rngs))


def slices(stack):
  """The layers by themselves."""
  graph, state = nnx.split(stack.layer)
  return [
    nnx.merge(graph, jax.tree.map(lambda x, i=i: x[i], state))
    for i in range(stack.layers)
  ]


@pytest.mark.parametrize("mode", [DEPLOYED, TRAINING])
def test_equals_a_loop(mode):
  """Outputs, caches, and the statistics that training updates."""
  stack = make()
  layers, x, caches = slices(stack), X, []
  for layer in layers:
    x, cache = layer(x, mode, cache=jnp.zeros(()))
    caches.append(cache)
  before = stack.layer.linear.act.stats["max"][...]
  y, got = stack(X, mode, caches=jnp.zeros(3))
  np.testing.assert_allclose(y, x, rtol=1e-5)
  np.testing.assert_allclose(got, caches, rtol=1e-5)
  after = stack.layer.linear.act.stats["max"][...]
  assert np.any(before != after) == mode.train
  want = [layer.linear.act.stats["max"][...] for layer in layers]
  np.testing.assert_allclose(after, want, rtol=1e-5)


@pytest.mark.parametrize("remat", ["block", "dots_saveable"])
def test_remat_changes_no_gradient(remat):
  stack = make(2)
  gradient = nnx.jit(nnx.grad(lambda stack: stack(X, DEPLOYED).sum()))
  want = gradient(stack)
  stack.remat = remat
  got = gradient(stack)
  for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want)):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_layers_start_differently(rngs):
  kernels = Stack(Layer, 2, rngs=rngs).layer.linear.kernel[...]
  assert np.abs(kernels[0] - kernels[1]).max() > 0.1


def test_layers_leave_hidden_states():
  stack = make()
  y, left = intermediates.call(stack, X)
  assert len(left["hidden_states"]) == 3
  np.testing.assert_array_equal(left["hidden_states"][-1], y)


def test_events_reach_every_layer():
  stack = make()
  stack(X, TRAINING)
  models.apply_event(stack, "freeze_bounds")
  bound = stack.layer.linear.act.stats["bound"][...]
  assert bound.shape == (3, 1, 4)
  assert np.all(bound > 0)


def test_scales_are_measured_again_layer_by_layer():
  stack = make()
  kernel = stack.layer.linear.kernel
  kernel[...] = kernel[...] * jnp.arange(1, 4)[:, None, None]
  reinitialize_from_weights(stack, {"layer.linear"})
  for layer in slices(stack):
    want, _ = layer.linear.weight.binarizer.init(layer.linear.kernel[...])
    for name, value in want.items():
      got = layer.linear.weight.params[name][...]
      np.testing.assert_allclose(got, value, rtol=1e-5)


def test_errors(rngs):
  with pytest.raises(ValueError, match="Unknown remat 'blocks'.*'block'"):
    Stack(Layer, 2, remat="blocks", rngs=rngs)
  with pytest.raises(ValueError, match="at least one layer, got 0"):
    Stack(Layer, 0, rngs=rngs)
