"""Linear and Conv: geometry, padding values, output scales, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.layers.binarize import BinarizerParam, LatentWeight
from bnnjax.layers.linear import Conv, Linear


@pytest.mark.parametrize("spatial", [1, 2, 3])
@pytest.mark.parametrize("padding", ["SAME", "VALID", 1])
@pytest.mark.parametrize("pad_value", [0, 1, -1])
def test_padding_is_part_of_the_low_bit_map(spatial, padding, pad_value, rngs):
  """Against padding the signs by hand, in units of the values (scale 1/2)."""
  window, strides = (3,) * spatial, 2
  conv = Conv(
    2,
    4,
    window,
    strides=strides,
    padding=padding,
    pad_value=pad_value,
    act="ste|fixed(value=0.5)",
    use_bias=False,
    rngs=rngs,
  )
  x = jax.random.normal(jax.random.key(0), (2, *(7,) * spatial, 2))
  low = {"SAME": 1, "VALID": 0, 1: 1}[padding]  # (7 - 1) / 2 * 2 + 3 - 7 = 2
  widths = ((0, 0), *((low, low),) * spatial, (0, 0))
  signs = jnp.pad(
    jnp.where(x >= 0, 1.0, -1.0), widths, constant_values=pad_value
  )
  plain = Conv(
    2, 4, window, strides=strides, padding="VALID", use_bias=False, rngs=rngs
  )
  plain.kernel[...] = conv.kernel[...]
  np.testing.assert_allclose(conv(x), plain(0.5 * signs), rtol=1e-5, atol=1e-5)
  grads = jax.grad(lambda x: conv(x).sum())(x)
  assert grads.shape == x.shape


def test_groups_and_dilation_match_flax(rngs):
  ours = Conv(4, 6, (3, 3), groups=2, dilation=2, strides=(2, 1), rngs=rngs)
  theirs = nnx.Conv(
    4,
    6,
    (3, 3),
    feature_group_count=2,
    kernel_dilation=2,
    strides=(2, 1),
    rngs=rngs,
  )
  theirs.kernel[...], theirs.bias[...] = ours.kernel[...], ours.bias[...]
  x = jax.random.normal(jax.random.key(0), (2, 9, 9, 4))
  np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


def test_variable_types(rngs):
  layer = Linear(4, 2, weight="ste|learned", output="channel", rngs=rngs)
  assert isinstance(layer.kernel, LatentWeight)
  params = nnx.state(layer, BinarizerParam)
  assert len(jax.tree.leaves(params)) == 2
  assert not isinstance(Linear(4, 2, rngs=rngs).kernel, LatentWeight)


def test_output_scale_multiplies_before_the_bias(rngs):
  layer = Linear(4, 2, output="channel", rngs=rngs)
  x = jnp.ones((3, 4))
  before = layer(x)
  layer.output.scale[...] = jnp.array([2.0, 3.0])
  layer.bias[...] = jnp.array([1.0, 1.0])
  np.testing.assert_allclose(
    layer(x), before * jnp.array([2, 3]) + 1, rtol=1e-6
  )


@pytest.mark.parametrize(
  ("make", "message"),
  [
    (
      lambda r: Linear(4, 0, rngs=r),
      "`out_features` must be at least 1, got 0",
    ),
    (lambda r: Linear(4, 2, weight="stee", rngs=r), "Did you mean 'ste'"),
    (
      lambda r: Linear(4, 2, weight=3, rngs=r),
      "spec string, a Binarizer or None",
    ),
    (lambda r: Linear(4, 2, output="chanel", rngs=r), "Did you mean 'channel'"),
    (
      lambda r: Conv(4, 2, 3, rngs=r),
      r"one number per spatial axis, e.g. \(3, 3\)",
    ),
    (lambda r: Conv(4, 2, (3,), groups=3, rngs=r), "`groups` must divide"),
    (lambda r: Conv(4, 2, (3,), strides=(1, 1), rngs=r), "`strides` must be"),
    (lambda r: Conv(4, 2, (3,), padding="SMAE", rngs=r), "Did you mean 'SAME'"),
    (
      lambda r: Conv(4, 2, (3, 3), padding=((1, 1),), rngs=r),
      "`padding` needs",
    ),
    (lambda r: Conv(4, 2, (3,), pad_value=2, rngs=r), "Unknown pad_value 2"),
  ],
)
def test_bad_arguments(make, message, rngs):
  with pytest.raises((TypeError, ValueError), match=message):
    make(rngs)


def test_bad_input(rngs):
  with pytest.raises(ValueError, match="built for 4 input features, got 3"):
    Linear(4, 2, rngs=rngs)(jnp.ones((2, 3)))
  with pytest.raises(
    ValueError, match=r"takes `\[batch, 1 spatial axes, channels\]`"
  ):
    Conv(4, 2, (3,), rngs=rngs)(jnp.ones((2, 5, 5, 4)))
