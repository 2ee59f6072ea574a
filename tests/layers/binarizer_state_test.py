"""Binarizers of whole models: copied, or initialized again."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

import bnnjax as bx
from bnnjax.layers.binarizer_state import (
  copy_learned,
  placed_like,
  reinitialize_from_weights,
)


class Model(nnx.Module):
  """Two layers with learned scales."""

  def __init__(self, first="ste|learned"):
    rngs = nnx.Rngs(0)
    self.first = bx.Linear(2, 2, weight=first, use_bias=False, rngs=rngs)
    self.second = bx.Linear(
      2, 2, weight="ste|learned", use_bias=False, rngs=rngs
    )


def scale(layer):
  return layer.weight.params["scale"]


def test_scales_start_again_where_weights_were_replaced():
  model = Model()
  old = scale(model.second)[...]
  for layer in (model.first, model.second):
    layer.kernel[...] = jnp.array([[1.0, -4.0], [3.0, 0.0]])
  reinitialize_from_weights(model, {"first"})
  np.testing.assert_array_equal(scale(model.first)[...], [[2, 2]])
  np.testing.assert_array_equal(scale(model.second)[...], old)


def test_equal_binarizers_are_copied():
  source, model = Model(), Model(first="reste|learned")
  for layer in (source.first, source.second):
    scale(layer)[...] = jnp.full((1, 2), 7.0)
  kernel, old = model.second.kernel[...], scale(model.first)[...]
  copy_learned(model, source)
  np.testing.assert_array_equal(scale(model.second)[...], [[7, 7]])
  np.testing.assert_array_equal(scale(model.first)[...], old)
  np.testing.assert_array_equal(model.second.kernel[...], kernel)


def test_an_array_takes_the_dtype_of_the_other():
  old = jnp.zeros(2, jnp.bfloat16)
  new = placed_like(jnp.ones(2), old)
  assert new.dtype == old.dtype
  assert new.sharding == old.sharding
