"""Pools by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.cost import count
from bnnjax.layers.pool import BlurPool, Pool


def test_average_leaves_padding_out():
  y = Pool("avg", 2, 2)(jnp.ones((1, 5, 5, 1)))
  np.testing.assert_allclose(y, np.ones((1, 3, 3, 1)))


def test_blur_keeps_a_constant_and_is_stored_but_not_trained():
  blur = BlurPool(4)
  y = blur(jnp.ones((1, 8, 8, 4)))
  np.testing.assert_allclose(y[:, :-1, :-1], np.ones((1, 3, 3, 4)))
  assert not jax.tree.leaves(nnx.state(blur, nnx.Param))
  report = count(blur, jax.ShapeDtypeStruct((1, 8, 8, 4), jnp.float32))
  assert report.total_macs == 4 * 4 * 9 * 4
  assert report.parameter_count == 0
  assert report.kernel_count == 9 * 4


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (("sum", 2, 2), "Unknown pool 'sum'"),
    (("max", 2, 2, "same"), "Unknown padding 'same'"),
  ],
)
def test_errors(arguments, message):
  with pytest.raises(ValueError, match=message):
    Pool(*arguments)
