"""Deployed weights: what is packed, what a layer multiplies with."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bnnjax as bx
from bnnjax.core import registry
from bnnjax.core.estimator import SIGN
from bnnjax.core.spec import parse
from bnnjax.layers.conv import Conv
from bnnjax.layers.deployed_weight import deployed_weight
from bnnjax.layers.embedding import Embedding
from bnnjax.layers.linear import Linear
from bnnjax.layers.norm import BatchNorm
from bnnjax.layers.stack import Stack
from tests.layers.small_layers import Residual

METHODS = registry.registered("method")


def equal(got, want):
  same = jax.tree.structure(got) == jax.tree.structure(want)
  return same and all(
    np.array_equal(a, b)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want))
  )


def signs(method):
  made = parse(method, "weight")
  return made is not None and made.estimator.alphabet == SIGN


SIGNED = [m for m in METHODS if signs(m)]


@pytest.mark.parametrize("method", SIGNED)
def test_packed_signs_are_the_deployed_values(method):
  """What a float input of ones in one place reads is `scale value + shift`."""
  layer = Linear(
    40, 3, weight=method, use_bias=False, output=None, rngs=nnx.Rngs(0)
  )
  layer.output = None
  if parse(method, "weight").latent:
    layer.kernel[...] = layer.kernel[...] + 0.1
  low = deployed_weight(layer)
  (term,) = low.terms
  packed = bx.pack_signs(term.value, axis=0)
  assert packed.shape == (2, 3)
  values = bx.unpack_signs(packed, 40, axis=0)
  np.testing.assert_array_equal(values, term.value)
  scale = 1.0 if term.full_scale is None else term.full_scale
  shift = 0.0 if low.shift is None else low.shift
  np.testing.assert_allclose(
    layer(jnp.eye(40)), values * scale + shift, rtol=1e-5, atol=1e-6
  )


def test_the_latent_kernel_has_other_signs():
  """Why the values are packed, not the kernel."""
  other = 0
  for method in SIGNED:
    layer = Linear(40, 3, weight=method, rngs=nnx.Rngs(0))
    layer.kernel[...] = layer.kernel[...] + 0.1
    value = deployed_weight(layer).terms[0].value
    other += np.any(np.sign(layer.kernel[...]) != np.sign(value))
  assert other > 1


def test_deployed_weights_of_other_layers(rngs):
  conv = Conv(4, 2, (3, 3), weight="irnet", rngs=rngs)
  w = np.asarray(conv.kernel[...])
  value = deployed_weight(conv).terms[0].value
  np.testing.assert_array_equal(
    value, np.where(w - w.mean((0, 1, 2)) >= 0, 1, -1)
  )
  stack = Stack(lambda r: Residual(r, "fbi_llm"), 2, rngs=nnx.Rngs(0))
  stacked = deployed_weight(stack.layer.linear)
  graph, state = nnx.split(stack.layer)
  for i in range(2):
    layer = nnx.merge(graph, jax.tree.map(lambda v, i=i: v[i], state))
    want = deployed_weight(layer.linear)
    assert equal(jax.tree.map(lambda v, i=i: v[i], stacked), want)
  kernel = Linear(3, 2, rngs=rngs)
  (term,) = deployed_weight(kernel).terms
  assert term.kind is None
  np.testing.assert_array_equal(term.value, kernel.kernel[...])
  words = Embedding(11, 4, weight="ste", rngs=rngs)
  assert set(np.unique(deployed_weight(words).terms[0].value)) == {-1, 1}
  with pytest.raises(TypeError, match="a layer with a weight.*got BatchNorm"):
    deployed_weight(BatchNorm(2, rngs=rngs))
