"""Bop in a layer: binary at the start, after every update, and in between."""

import jax
import numpy as np
import optax
from flax import nnx

from bnnjax.layers.linear import Linear
from bnnjax.layers.variables import BinaryWeight
from bnnjax.train.bop import bop


def test_weights_are_binary_from_the_start_and_stay_so():
  layer = Linear(8, 4, weight="bop", act="bop", rngs=nnx.Rngs(0))
  assert isinstance(layer.kernel, BinaryWeight)
  x = jax.random.normal(jax.random.key(0), (16, 8))
  kernel, rule = layer.kernel[...], bop(0.5, 1e-3)
  start, state = kernel, rule.init(kernel)
  for _ in range(5):
    assert set(np.unique(kernel)) == {-1, 1}

    def loss(w):
      layer = Linear(8, 4, weight="bop", act="bop", rngs=nnx.Rngs(0))
      layer.kernel[...] = w
      return (layer(x) ** 2).mean()

    updates, state = rule.update(jax.grad(loss)(kernel), state, kernel)
    kernel = optax.apply_updates(kernel, updates)
  assert (kernel != start).any()


def test_gradient_is_that_of_the_weight_itself():
  """No window: a binary weight sits on the edge of every clip."""
  layer = Linear(2, 1, weight="bop", use_bias=False, rngs=nnx.Rngs(0))
  graphdef, params, rest = nnx.split(layer, nnx.Param, ...)
  x = np.array([[0.5, -2.0]], np.float32)
  grads = jax.grad(lambda p: nnx.merge(graphdef, p, rest)(x).sum())(params)
  np.testing.assert_allclose(grads["kernel"][...], x.T)
