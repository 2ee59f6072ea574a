"""A key-value cache is filled, and never overwritten."""

import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.layers.kv_cache import KVCache


def test_tokens_are_appended_until_it_is_full():
  tokens = jnp.arange(1.0, 5).reshape(1, 4, 1, 1)
  cache = KVCache.empty((1, 3, 1, 1))
  cache = cache.extended(tokens[:, :2], -tokens[:, :2])
  assert cache.length == 2
  np.testing.assert_array_equal(cache.key.ravel(), [1, 2, 0])
  np.testing.assert_array_equal(cache.value.ravel(), [-1, -2, 0])
  cache = cache.extended(tokens[:, 2:3], tokens[:, 2:3])
  np.testing.assert_array_equal(cache.key.ravel(), [1, 2, 3])
  cache = cache.extended(tokens[:, 3:], tokens[:, 3:])
  assert np.isnan(cache.key).all()


def test_keys_that_do_not_fit():
  cache = KVCache.empty((2, 4, 2, 4))
  for shape in ((2, 5, 2, 4), (3, 1, 2, 4), (2, 1, 2, 3)):
    with pytest.raises(ValueError, match=r"\(2, 4, 2, 4\): keys of"):
      cache.extended(jnp.zeros(shape), jnp.zeros(shape))
