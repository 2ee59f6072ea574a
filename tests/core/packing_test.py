import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core import packing


@pytest.mark.parametrize(
  ("shape", "axis", "word"),
  [
    ((70,), -1, 8),
    ((3, 33), 1, 32),
    ((33, 2), 0, 16),
    ((64, 3), -2, 16),
    ((2, 3, 64), -1, 32),
    ((2, 0, 5), 1, 32),
  ],
)
def test_round_trip(shape, axis, word):
  x = np.random.default_rng(0).choice([-1.0, 1.0], shape).astype(np.float32)
  packed = packing.pack_signs(jnp.asarray(x), axis=axis, word=word)
  assert packed.dtype.itemsize * 8 == word
  assert packed.shape[axis] == packing.packed_length(shape[axis], word)
  back = packing.unpack_signs(packed, shape[axis], axis=axis)
  np.testing.assert_array_equal(back, x)


def test_least_significant_bit_first_and_zero_is_plus_one():
  x = jnp.array([1.0, -1.0, 0.0, -2.0])
  np.testing.assert_array_equal(packing.pack_signs(x, word=8), [0b0101])


def test_bits_past_the_end_are_unset():
  packed = packing.pack_signs(jnp.ones(33))
  np.testing.assert_array_equal(packed, np.array([2**32 - 1, 1], np.uint32))


def test_errors():
  x = jnp.ones((2, 3))
  with pytest.raises(ValueError, match=r"one of \[8, 16, 32\], got 64"):
    packing.pack_signs(x, word=64)
  with pytest.raises(ValueError, match="Axis 2 does not exist in shape"):
    packing.pack_signs(x, axis=2)
  with pytest.raises(
    ValueError, match="5 signs take 1 words of 32 bits, got 2"
  ):
    packing.unpack_signs(jnp.zeros((2,), jnp.uint32), 5)
  with pytest.raises(ValueError, match="unsigned words, got float32"):
    packing.unpack_signs(jnp.zeros((1,)), 5)


@pytest.mark.parametrize("x", [[1.0, -1.0], None, "ab", 3.0])
def test_what_is_no_array(x):
  with pytest.raises(TypeError, match="`pack_signs` takes an array, got"):
    packing.pack_signs(x)
  with pytest.raises(TypeError, match="`unpack_signs` takes an array, got"):
    packing.unpack_signs(x, 2)


def test_what_has_no_sign():
  with pytest.raises(ValueError, match="NaN has no sign"):
    packing.pack_signs(jnp.array([1.0, jnp.nan]))
  for dtype in (bool, jnp.uint8, jnp.complex64):
    with pytest.raises(TypeError, match=r"pack `2.0 \* b - 1`"):
      packing.pack_signs(jnp.ones(3, dtype))
  words = jnp.zeros(1, jnp.uint32)
  with pytest.raises(TypeError, match="`dtype` must hold -1"):
    packing.unpack_signs(words, 3, dtype=jnp.uint8)
  np.testing.assert_array_equal(packing.pack_signs(np.array([1, -1, 0])), [5])


@pytest.mark.parametrize("length", [1.0, True, None, "3"])
def test_lengths_and_axes_are_ints(length):
  words = jnp.zeros(1, jnp.uint32)
  with pytest.raises(TypeError, match="`length` must be an int, got"):
    packing.unpack_signs(words, length)
  with pytest.raises(TypeError, match="`axis` must be an int, got"):
    packing.pack_signs(jnp.ones(3), axis=length)
  with pytest.raises(TypeError, match="`word` must be an int, got"):
    packing.pack_signs(jnp.ones(3), word=length)


def test_lengths_that_count_as_ints():
  words = packing.pack_signs(jnp.ones(3), axis=np.int64(0), word=np.int32(8))
  assert packing.unpack_signs(words, np.int64(3)).shape == (3,)
  with pytest.raises(ValueError, match="`length` must be an int >= 0, got -1"):
    packing.unpack_signs(words, -1)
