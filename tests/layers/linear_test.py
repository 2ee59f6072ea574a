"""Linear and Conv: geometry, padding values, output scales, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.layers.conv import Conv
from bnnjax.layers.linear import Linear
from bnnjax.layers.variables import BinarizerParam, LatentWeight


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


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("pad_value", [0, 1])
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
  assert Linear(n(4), n(2), rngs=rngs)(jnp.ones((1, 4))).shape == (1, 2)


@pytest.mark.parametrize("value", [True, 2.0, "2", None, 1j])
@pytest.mark.parametrize(
  "argument", ["strides", "dilation", "groups", "padding", "pad_value"]
)
def test_what_does_not_count_as_an_int(argument, value, rngs):
  if (argument, value) == ("padding", "2"):
    pytest.skip("the name of a padding")
  with pytest.raises((TypeError, ValueError), match=f"`{argument}` must be an"):
    Conv(4, 2, (3, 3), rngs=rngs, **{argument: value})


@pytest.mark.parametrize(
  ("act", "pad_value", "grid"),
  [
    ("dorefa_act(bits=2)", -1, r"grid 0\.\.3 of the activations .'dorefa_act'"),
    ("unsigned(bits=4)", -1, r"grid 0\.\.15"),
    ("ste_heaviside", -1, r"alphabet \(0, 1\)"),
    ("symmetric(bits=2)|fixed(value=3.0)", 1, None),
    ("dorefa_act(bits=2)", 1, None),
    ("absmax", -1, None),
    ("dorefa_weight(bits=2)", -1, None),
    (None, -1, None),
  ],
)
def test_pad_value_is_in_the_grid(act, pad_value, grid, rngs):
  make = lambda: Conv(  # noqa: E731
    2, 2, (3,), act=act, pad_value=pad_value, rngs=rngs
  )
  if grid is None:
    assert make().pad_value == pad_value
  else:
    with pytest.raises(ValueError, match=grid):
      make()


def test_pad_value_needs_one_scale_for_all_positions(rngs):
  with pytest.raises(ValueError, match="same at all positions"):
    Conv(2, 2, (3,), act="ste|token_max", pad_value=1, rngs=rngs)


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


def test_groups_of_a_scale_divide_the_inputs_of_a_layer(rngs):
  Linear(8, 2, weight="ste|group_l1(size=4)", rngs=rngs)
  with pytest.raises(ValueError, match=r"shape \(12, 2\) and size 8"):
    Linear(12, 2, weight="ste|group_l1(size=8)", rngs=rngs)


def test_a_transform_of_another_length_is_for_attention(rngs):
  with pytest.raises(ValueError, match="'ksh' makes 16 features of the 4"):
    Conv(4, 2, (3, 3), act="ksh > ste", rngs=rngs)


def test_the_map_of_a_cropped_input(rngs):
  """`spatial_l1` crops as the convolution does."""
  options = {"output": "spatial_l1", "use_bias": False, "rngs": rngs}
  conv = Conv(2, 3, (3, 3), padding=((-1, 1), (0, -2)), **options)
  plain = Conv(2, 3, (3, 3), padding=((0, 1), 0), **options)
  plain.kernel[...] = conv.kernel[...]
  x = jax.random.normal(jax.random.key(0), (2, 6, 7, 2))
  np.testing.assert_allclose(conv(x), plain(x[:, 1:, :-2]), rtol=1e-5)


def test_sizes_that_would_end_the_process_are_refused(rngs):
  """XLA's own check of a product beyond int64 is an abort, no error."""
  for kwargs, message in (
    (
      {"padding": 10**10},
      "`padding` must be at most 2147483647, got 100000000",
    ),
    ({"padding": 2**30}, "`padding` must add at most 2147483647 places"),
    ({"strides": 10**30}, "`strides` must be at most 2147483647"),
    ({"dilation": 2**31}, "`dilation` must be at most 2147483647"),
  ):
    with pytest.raises(ValueError, match=message):
      Conv(1, 1, (3, 3), **kwargs, rngs=rngs)
  with pytest.raises(ValueError, match="kernel of Conv .*at most 2\\^40"):
    Conv(1, 1, (10**6, 10**7), rngs=rngs)
  conv = Conv(1, 1, (3, 3), padding=-3, rngs=rngs)
  with pytest.raises(ValueError, match="crops more than a map of shape"):
    conv(jnp.ones((1, 5, 5, 1)))


def test_what_is_no_array_no_initializer_no_rngs(rngs):
  with pytest.raises(TypeError, match="Linear takes an array, got list"):
    Linear(2, 1, rngs=rngs)([1.0, 2.0])
  with pytest.raises(ValueError, match="`kernel_init` .*a function, got 3"):
    Linear(2, 1, kernel_init=3, rngs=rngs)
  with pytest.raises(TypeError, match="`rngs` must be nnx.Rngs, got 0"):
    Linear(2, 1, rngs=0)
