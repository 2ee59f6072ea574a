"""Windows, padding and patches of convolutions."""

import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.layers import geometry
from bnnjax.layers.conv import Conv


def test_padding_is_a_pair_for_each_axis():
  read = lambda padding: geometry.read_padding(padding, (3, 3))  # noqa: E731
  assert read("SAME") == "SAME"
  assert read(1) == ((1, 1), (1, 1))
  assert read((1, -2)) == ((1, 1), (-2, -2))
  assert read(((0, 1), 2)) == ((0, 1), (2, 2))
  with pytest.raises(ValueError, match="pair for each of 2 spatial axes"):
    read((1, 2, 3))


def test_groups_divide_the_features():
  assert geometry.read_groups(4, 6, 2) == ((4, 6), 2)
  with pytest.raises(ValueError, match="groups=3, 4 -> 6"):
    geometry.read_groups(4, 6, 3)


def test_patches_by_hand():
  """A window of 2 with dilation 2, two channels: positions 0, 2 and 1, 3."""
  x = jnp.arange(8.0).reshape(1, 4, 2)
  shape = geometry.Geometry((2,), (1,), "VALID", (2,))
  want = [[[0, 1, 4, 5], [2, 3, 6, 7]]]
  np.testing.assert_array_equal(geometry.patches(x, shape), want)


def test_pads_and_crops():
  x = jnp.arange(3.0).reshape(1, 3, 1)
  y = geometry.pad(x, ((2, -1),), -1)
  np.testing.assert_array_equal(y.ravel(), [-1, -1, 0, 1])


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


@pytest.mark.parametrize("value", [True, 2.0, "2", None, 1j])
@pytest.mark.parametrize(
  "argument", ["strides", "dilation", "groups", "padding", "pad_value"]
)
def test_what_does_not_count_as_an_int(argument, value, rngs):
  if (argument, value) == ("padding", "2"):
    pytest.skip("the name of a padding")
  with pytest.raises((TypeError, ValueError), match=f"`{argument}` must be an"):
    Conv(4, 2, (3, 3), rngs=rngs, **{argument: value})
