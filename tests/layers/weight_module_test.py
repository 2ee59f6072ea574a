"""The weight itself as `weight=` of a layer."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import bnnjax as bx
from bnnjax.layers.binarize import Binarize
from bnnjax.layers.weight_module import (
  as_weight_module,
  check_returns_quantized,
)

LOW = bx.Quantized((bx.Term(jnp.ones((3, 2))),))


class Constant(nnx.Module):
  """A weight of third-party code."""

  def __call__(self, mode):
    return LOW


def test_weights_and_specs_are_told_apart():
  home = as_weight_module(LOW)
  assert isinstance(home, bx.QuantizedWeight)
  module = Constant()
  assert as_weight_module(module) is module
  like = jax.ShapeDtypeStruct((3, 2), jnp.float32)
  for spec in (None, "ste", bx.parse("ste", "weight")):
    assert as_weight_module(spec) is None
  assert as_weight_module(Binarize("ste", "act", like)) is None


def test_a_module_returns_a_quantized_of_the_shape():
  check_returns_quantized("Linear", Constant(), (3, 2))
  with pytest.raises(ValueError, match=r"\(3, 1\), got a Quantized of \(3, 2"):
    check_returns_quantized("Linear", Constant(), (3, 1))
  linear = nnx.eval_shape(lambda: nnx.Linear(3, 2, rngs=nnx.Rngs(0)))
  with pytest.raises(TypeError, match="must return a Quantized.* of Linear"):
    check_returns_quantized("Linear", linear, (3, 2))
