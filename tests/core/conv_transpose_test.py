import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from bnnjax.core.conv_transpose import conv_transpose, to_pads


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_sizes_are_those_of_jax(padding):
  sizes = itertools.product((1, 2, 3, 4), (1, 2, 3), (1, 2))
  for window, stride, dilation in sizes:
    x = jax.ShapeDtypeStruct((1, 5, 2), jnp.float32)
    w = jax.ShapeDtypeStruct((window, 2, 3), jnp.float32)
    options = {"strides": (stride,), "padding": padding}
    ours = functools.partial(conv_transpose, dilation=(dilation,), **options)
    theirs = functools.partial(
      lax.conv_transpose, rhs_dilation=(dilation,), **options
    )
    got, want = (jax.eval_shape(f, x, w) for f in (ours, theirs))
    assert got.shape == want.shape


def test_products_by_hand():
  """Stride 2, window (1, 10, 100): input i reaches outputs 2 i .. 2 i + 2."""
  x, w = jnp.array([[[1.0], [2.0]]]), jnp.array([[[100.0]], [[10.0]], [[1.0]]])
  y = conv_transpose(x, w, strides=(2,), padding="VALID")
  np.testing.assert_array_equal(y.ravel(), [1, 10, 102, 20, 200])
  y = conv_transpose(x, w, strides=(2,), padding="VALID", flip=True)
  np.testing.assert_array_equal(y.ravel(), [100, 10, 201, 20, 2])


def test_pairs_stay_and_nothing_left_is_an_error():
  assert to_pads((3,), (2,), [[1, -1]], (1,)) == ((1, -1),)
  with pytest.raises(ValueError, match="crops all inputs of a map"):
    conv_transpose(jnp.ones((1, 2, 1)), jnp.ones((1, 1, 1)), padding=[(-1, -1)])
