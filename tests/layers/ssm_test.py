"""Parts of Mamba's blocks by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.layers import ssm


def test_convolution_continues_from_the_last_inputs():
  """`y_t = bias + 1 x_{t-1} + 10 x_t`, in one piece and in two."""
  conv = ssm.CausalConv(1, 2, rngs=nnx.Rngs(0))
  conv.kernel[...] = jnp.array([1.0, 10.0]).reshape(2, 1, 1)
  conv.bias[...] = jnp.array([0.5])
  x = jnp.array([1.0, 2.0, 3.0]).reshape(1, 3, 1)
  y, last = conv(x, jnp.zeros((1, 2, 1)))
  np.testing.assert_array_equal(y.ravel(), [10.5, 21.5, 32.5])
  np.testing.assert_array_equal(last.ravel(), [2, 3])
  _, middle = conv(x[:, :1], jnp.zeros((1, 2, 1)))
  rest, after = conv(x[:, 1:], middle)
  np.testing.assert_array_equal(rest, y[:, 1:])
  np.testing.assert_array_equal(after, last)
  with pytest.raises(ValueError, match=r"= \(1, 2, 1\), got \(1, 3, 1\)"):
    conv(x, jnp.zeros((1, 3, 1)))


def test_steps_start_between_their_bounds():
  steps = jax.nn.softplus(ssm.step_bias(jax.random.key(0), (500,)))
  low, high = ssm.STEP_SIZES
  assert low * 0.999 <= steps.min() < 2 * low
  assert high / 2 < steps.max() <= high * 1.001


def test_an_empty_cache_and_a_parameter_without_decay():
  cache = ssm.SSMCache.empty(3, (2, 4), (4, 5))
  assert (cache.conv.shape, cache.ssm.shape) == ((3, 2, 4), (3, 4, 5))
  assert ssm.undecayed(jnp.ones(2)).get_metadata("decay") is False
