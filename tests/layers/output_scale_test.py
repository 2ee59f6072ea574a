"""Scales of the output: by hand, and in a layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core.progress import DEPLOYED
from bnnjax.layers import output_scale
from bnnjax.layers.conv import Conv
from bnnjax.layers.geometry import Geometry
from bnnjax.layers.linear import Linear


def test_rank_one_scale_by_hand():
  """`alpha[c] beta[h] gamma[w]`; a smaller map uses the first positions."""
  shape = Geometry((3, 3), (1, 1), "SAME", (1, 1))
  scale = output_scale.parse("rank1(size=4)", 2, shape)
  scale.scale[...] = jnp.array([1.0, 10.0])
  scale.positions[0][...] = jnp.array([1.0, 2.0, 3.0, 4.0])
  scale.positions[1][...] = jnp.array([5.0, 6.0, 7.0, 8.0])
  got = scale(None, jnp.zeros((1, 2, 3, 2)), DEPLOYED)
  want = np.multiply.outer(np.outer([1, 2], [5, 6, 7]), [1, 10])[None]
  np.testing.assert_array_equal(got, want)
  with pytest.raises(ValueError, match=r"4 positions.*map of 5.*size=5"):
    scale(None, jnp.zeros((1, 2, 5, 2)), DEPLOYED)


def test_mean_magnitudes_of_windows_by_hand():
  """Padding counts as zeros; without spatial axes, the mean of a token."""
  x = jnp.array([[[3.0, -1.0], [0.0, 4.0], [-2.0, 2.0]]])
  shape = Geometry((3,), (1,), "SAME", (1,))
  scale = output_scale.parse("spatial_l1", 5, shape)
  got = scale(x, None, DEPLOYED)
  np.testing.assert_allclose(got[0, :, 0], [4 / 3, 2, 4 / 3], rtol=1e-6)
  token = output_scale.parse("spatial_l1", 5)(x, None, DEPLOYED)
  np.testing.assert_array_equal(token[0, :, 0], [2, 2, 2])


def test_output_scale_multiplies_before_the_bias(rngs):
  layer = Linear(4, 2, output="channel", rngs=rngs)
  x = jnp.ones((3, 4))
  before = layer(x)
  layer.output.scale[...] = jnp.array([2.0, 3.0])
  layer.bias[...] = jnp.array([1.0, 1.0])
  np.testing.assert_allclose(
    layer(x), before * jnp.array([2, 3]) + 1, rtol=1e-6
  )


def test_the_map_of_a_cropped_input(rngs):
  """`spatial_l1` crops as the convolution does."""
  options = {"output": "spatial_l1", "use_bias": False, "rngs": rngs}
  conv = Conv(2, 3, (3, 3), padding=((-1, 1), (0, -2)), **options)
  plain = Conv(2, 3, (3, 3), padding=((0, 1), 0), **options)
  plain.kernel[...] = conv.kernel[...]
  x = jax.random.normal(jax.random.key(0), (2, 6, 7, 2))
  np.testing.assert_allclose(conv(x), plain(x[:, 1:, :-2]), rtol=1e-5)
