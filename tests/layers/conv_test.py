"""Conv against flax and numpy: padding and its values, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.layers.conv import Conv


@pytest.mark.parametrize(
  ("spatial", "padding", "pad_value"),
  [
    (1, "SAME", 0), (1, "SAME", 1), (1, "SAME", -1), (1, "VALID", 1),
    (1, 1, 0), (1, 1, -1), (2, "SAME", 1), (2, 1, -1), (2, "VALID", 0),
    (3, "SAME", -1),
  ],
)  # fmt: skip
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


@pytest.mark.parametrize("padding", [(1, 1), [2, (0, 1)], (np.int64(1), 0), -1])
def test_padding_is_that_of_flax(padding, rngs):
  ours = Conv(2, 3, (3, 3), padding=padding, rngs=rngs)
  theirs = [padding] * 2 if padding == -1 else [
    int(p) if np.ndim(p) == 0 else p for p in padding
  ]  # fmt: skip
  flax = nnx.Conv(2, 3, (3, 3), padding=theirs, rngs=rngs)
  flax.kernel[...], flax.bias[...] = ours.kernel[...], ours.bias[...]
  x = jax.random.normal(jax.random.key(0), (2, 6, 6, 2))
  np.testing.assert_allclose(ours(x), flax(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("groups", "pad_value"), [(1, 1), (2, 0)])
def test_negative_padding_crops(groups, pad_value, rngs):
  """Forward and backward equal those of the cropped map."""
  options = {"act": "ste", "weight": "ste", "groups": groups, "rngs": rngs}
  padding = ((-1, 1), (-2, 0))
  conv = Conv(2, 4, (2, 2), padding=padding, pad_value=pad_value, **options)
  plain = Conv(
    2, 4, (2, 2), padding=((0, 1), 0), pad_value=pad_value, **options
  )
  plain.kernel[...] = conv.kernel[...]
  x = jax.random.normal(jax.random.key(0), (2, 5, 6, 2))
  run = lambda m, x: (m(x) ** 2).sum()  # noqa: E731
  cropped = lambda x: run(plain, x[:, 1:, 2:])  # noqa: E731
  np.testing.assert_allclose(
    jax.grad(run, 1)(conv, x), jax.grad(cropped)(x), rtol=1e-5
  )
  got = nnx.grad(run)(conv, x).kernel[...]
  want = nnx.grad(run)(plain, x[:, 1:, 2:]).kernel[...]
  np.testing.assert_allclose(got, want, rtol=1e-5)


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"kernel_size": 3}, r"one number per spatial axis, e.g. \(3, 3\)"),
    ({"groups": 3}, "`groups` must divide"),
    ({"strides": (1, 1)}, "`strides` must be"),
    ({"padding": "SMAE"}, "Did you mean 'SAME'"),
    ({"padding": ((1, 1), 1)}, "`padding` needs"),
    ({"pad_value": 2}, "Unknown pad_value 2"),
  ],
)
def test_bad_arguments(options, message, rngs):
  with pytest.raises((TypeError, ValueError), match=message):
    Conv(4, 2, **{"kernel_size": (3,), **options}, rngs=rngs)


def test_bad_input(rngs):
  message = r"takes `\[batch, 1 spatial axes, channels\]`"
  with pytest.raises(ValueError, match=message):
    Conv(4, 2, (3,), rngs=rngs)(jnp.ones((2, 5, 5, 4)))


def test_what_counts_as_an_int(rngs):
  n = np.int64
  conv = Conv(
    n(4), n(6), (n(3), n(3)), strides=n(2), dilation=(n(1), 1), groups=n(2),
    padding=n(1), pad_value=n(1), act="ste", rngs=rngs,
  )  # fmt: skip
  assert conv.strides == (2, 2)
  assert conv.padding == ((1, 1), (1, 1))
  sizes = (*conv.strides, *conv.window, conv.groups, conv.pad_value)
  assert {type(s) for s in sizes} == {int}
