"""Linear: values by hand, and bad arguments."""

import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.layers.linear import Linear


def test_values_by_hand(rngs):
  """Signs of input and kernel, the kernel's scale, the bias."""
  layer = Linear(2, 2, weight="ste|channel_l1", act="ste", rngs=rngs)
  layer.kernel[...] = jnp.array([[1.0, -0.5], [3.0, 0.5]])
  layer.bias[...] = jnp.array([10.0, 20.0])
  y = layer(jnp.array([[0.1, -7.0]]))
  np.testing.assert_allclose(y, [[2 - 2 + 10, -0.5 - 0.5 + 20]])


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"out_features": 0}, "`out_features` must be at least 1, got 0"),
    ({"weight": "stee"}, "Did you mean 'ste'"),
    ({"weight": 3}, "spec string, a Binarizer or None"),
    ({"output": "chanel"}, "Did you mean 'channel'"),
  ],
)
def test_bad_arguments(options, message, rngs):
  with pytest.raises((TypeError, ValueError), match=message):
    Linear(4, **{"out_features": 2, **options}, rngs=rngs)


def test_bad_input(rngs):
  with pytest.raises(ValueError, match="built for 4 input features, got 3"):
    Linear(4, 2, rngs=rngs)(jnp.ones((2, 3)))


def test_sizes_may_be_integers_of_numpy(rngs):
  layer = Linear(np.int64(4), np.int64(2), rngs=rngs)
  assert layer(jnp.ones((1, 4))).shape == (1, 2)
