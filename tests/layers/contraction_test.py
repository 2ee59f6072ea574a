"""What Linear and Conv share: `prepare=`, dtypes, arguments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bnnjax as bx
from bnnjax.layers.linear import Linear
from bnnjax.layers.variables import BinarizerParam, LatentWeight

K, O = 8, 5
X = jax.random.normal(jax.random.key(1), (3, K))


def test_variable_types(rngs):
  layer = Linear(4, 2, weight="ste|learned", output="channel", rngs=rngs)
  assert isinstance(layer.kernel, LatentWeight)
  params = nnx.state(layer, BinarizerParam)
  assert len(jax.tree.leaves(params)) == 2
  assert not isinstance(Linear(4, 2, rngs=rngs).kernel, LatentWeight)


def test_numbers_that_a_layer_takes(rngs):
  layer = Linear(4, 2, act="ste", weight="ste", rngs=rngs)
  x = np.array([[0, 255, 3, 1]], np.uint8)
  np.testing.assert_array_equal(layer(x), layer(jnp.ones((1, 4))))
  with pytest.raises(TypeError, match="takes real numbers, got complex64"):
    layer(jnp.ones((1, 4), jnp.complex64))
  for dtype in ("nope", int, jnp.complex64, "float8_e4m3fn"):
    with pytest.raises(
      ValueError, match="`dtype` of Linear must be the type of a float"
    ):
      Linear(4, 2, dtype=dtype, rngs=rngs)


def test_what_is_no_array_no_initializer_no_rngs(rngs):
  with pytest.raises(TypeError, match="Linear takes an array, got list"):
    Linear(2, 1, rngs=rngs)([1.0, 2.0])
  with pytest.raises(ValueError, match="`kernel_init` .*a function, got 3"):
    Linear(2, 1, kernel_init=3, rngs=rngs)
  with pytest.raises(TypeError, match="`rngs` must be nnx.Rngs, got 0"):
    Linear(2, 1, rngs=0)


def test_groups_of_a_scale_divide_the_inputs_of_a_layer(rngs):
  Linear(8, 2, weight="ste|group_l1(size=4)", rngs=rngs)
  with pytest.raises(ValueError, match=r"shape \(12, 2\) and size 8"):
    Linear(12, 2, weight="ste|group_l1(size=8)", rngs=rngs)


class TokenAdaptive(nnx.Module):
  """BinaryMoS (arXiv:2406.12311): experts of scales, mixed for each token."""

  def __init__(self, before, after, experts, rngs):
    self.router = bx.Linear(before, experts, use_bias=False, rngs=rngs)
    self.inner = nnx.Param(jnp.ones((experts, before)))
    self.outer = nnx.Param(jnp.ones((experts, after)))

  def __call__(self, x, mode):
    share = jax.nn.softmax(self.router(x, mode))
    return x * (share @ self.inner[...]), share @ self.outer[...]


def test_token_adaptive_scales():
  experts = TokenAdaptive(K, O, 4, nnx.Rngs(1))
  experts.inner[...] = jax.random.uniform(jax.random.key(6), (4, K))
  experts.outer[...] = jax.random.uniform(jax.random.key(7), (4, O))
  made = bx.Linear(K, O, weight="ste", prepare=experts, rngs=nnx.Rngs(0))
  share = jax.nn.softmax(X @ experts.router.kernel[...])
  signs = jnp.where(made.kernel[...] >= 0, 1.0, -1.0)
  want = ((X * (share @ experts.inner[...])) @ signs) * (
    share @ experts.outer[...]
  )
  np.testing.assert_allclose(made(X), want + made.bias[...], rtol=1e-4)
  report = bx.count(made, jax.ShapeDtypeStruct((1, K), jnp.float32))
  others = K * 4 + 4 * K + 4 * O  # the router, and two mixtures
  assert report.macs == {(1, 32): K * O, (32, 32): others}
  params = nnx.split(made, nnx.Param, ...)[1]
  assert "inner" in nnx.to_pure_dict(params)["prepare"]
  for broken, message in (
    (lambda x, mode: (x[:, 1:], None), "must keep the shape"),
    (lambda x, mode: (x, jnp.ones((3, 2))), "broadcast to the output"),
  ):
    layer = bx.Linear(K, O, prepare=broken, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=message):
      layer(X)
