"""Signs in machine words: one bit an element, +1 is a set bit."""

import jax
import jax.numpy as jnp
import numpy as np

from bnnjax.core.bits import tag

WORDS = {8: jnp.uint8, 16: jnp.uint16, 32: jnp.uint32}


def packed_length(length: int, word: int = 32) -> int:
  """Words that `length` signs take: `ceil(length / word)`."""
  return -(-length // word)


def pack_signs(x: jax.Array, *, axis: int = -1, word: int = 32) -> jax.Array:
  """Packs signs along an axis, least significant bit first.

  Args:
    x: `[..., n, ...]`; elements >= 0 become a set bit, others an unset one.
    axis: the axis that is packed.
    word: 8, 16 or 32 bits.

  Returns:
    `[..., ceil(n / word), ...]` unsigned, tagged with their length `n`; bits
    past `n` are unset.

  Raises:
    ValueError: another word length, or an axis that `x` has not.

  Example:
    >>> pack_signs(jnp.array([1.0, -1.0, 1.0]), word=8)
    [5]
  """
  dtype = _word_dtype(word)
  axis = _axis(x, axis)
  bit = jnp.moveaxis(x >= 0, axis, -1)
  words = packed_length(bit.shape[-1], word)
  missing = words * word - bit.shape[-1]
  bit = jnp.pad(bit, [(0, 0)] * (bit.ndim - 1) + [(0, missing)])
  bit = bit.reshape(*bit.shape[:-1], words, word).astype(dtype)
  place = jnp.asarray(np.arange(word), dtype)
  packed = jnp.sum(bit << place, axis=-1, dtype=dtype)
  packed = jnp.moveaxis(packed, -1, axis)
  return tag(packed, 1, length=x.shape[axis]) if x.shape[axis] else packed


def unpack_signs(
  packed: jax.Array, length: int, *, axis: int = -1, dtype=jnp.float32
) -> jax.Array:
  """Inverse of `pack_signs`.

  Args:
    packed: `[..., ceil(length / word), ...]`, unsigned words.
    length: number of signs along `axis`.
    axis: the axis that was packed.
    dtype: of the result.

  Returns:
    `[..., length, ...]` in {-1, +1}.

  Raises:
    ValueError: the words do not hold exactly `length` signs.
  """
  word = packed.dtype.itemsize * 8
  if packed.dtype != _word_dtype(word):
    raise ValueError(f"Packed signs are unsigned words, got {packed.dtype}.")
  axis = _axis(packed, axis)
  words = jnp.moveaxis(packed, axis, -1)
  if words.shape[-1] != packed_length(length, word):
    raise ValueError(
      f"{length} signs take {packed_length(length, word)} words of {word} bits,"
      f" got {words.shape[-1]} along axis {axis}."
    )
  place = jnp.asarray(np.arange(word), packed.dtype)
  bit = (words[..., None] >> place) & 1
  bit = bit.reshape(*words.shape[:-1], words.shape[-1] * word)[..., :length]
  signs = 2 * bit.astype(dtype) - 1
  return jnp.moveaxis(signs, -1, axis)


def _word_dtype(word: int):
  if word not in WORDS:
    raise ValueError(f"`word` must be one of {sorted(WORDS)}, got {word}.")
  return WORDS[word]


def _axis(x: jax.Array, axis: int) -> int:
  if not -x.ndim <= axis < x.ndim:
    raise ValueError(f"Axis {axis} does not exist in shape {x.shape}.")
  return axis % x.ndim
