"""Rotary position embedding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.layers import rotary


def test_pairs_are_rotated_by_hand():
  """Features 0 and 2 by the angle p, 1 and 3 by p / base^(1/2)."""
  x = jnp.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 1, 4)
  y = rotary.rotate(x, jnp.array([2]), 100.0).ravel()
  want = []
  for a, b, t in ((1, 3, 2.0), (2, 4, 0.2)):
    want.append((a * np.cos(t) - b * np.sin(t), b * np.cos(t) + a * np.sin(t)))
  np.testing.assert_allclose(y, np.array(want).T.ravel(), rtol=1e-5)


def test_products_depend_on_the_distance_alone():
  q, k = jax.random.normal(jax.random.key(0), (2, 1, 2, 1, 8))
  at = lambda x, *p: rotary.rotate(x, jnp.array(p), 10.0)  # noqa: E731
  near = jnp.sum(at(q, 1, 1) * at(k, 4, 4))
  far = jnp.sum(at(q, 6, 6) * at(k, 9, 9))
  np.testing.assert_allclose(near, far, rtol=1e-4)


def test_an_odd_number_of_features():
  with pytest.raises(ValueError, match="rotates pairs: got 3 features"):
    rotary.rotate(jnp.ones((1, 1, 1, 3)), jnp.zeros(1), 10.0)
