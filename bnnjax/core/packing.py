"""Signs in machine words: one bit per element, set for +1."""

import operator
import warnings

import jax
import jax.numpy as jnp
import numpy as np

from bnnjax.core.bits import tag

WORDS = {8: jnp.uint8, 16: jnp.uint16, 32: jnp.uint32}


def packed_length(length: int, word: int = 32) -> int:
  """Number of words for `length` signs: `ceil(length / word)`."""
  return -(-length // word)


def pack_signs(x: jax.Array, *, axis: int = -1, word: int = 32) -> jax.Array:
  """Packs signs along an axis, least significant bit first.

  Args:
    x: `[..., n, ...]`, signed numbers; elements >= 0 become a set bit, others an
      unset one. NaN has no sign and raises an error; inside `jit` it is unset.
    axis: the axis to pack.
    word: 8, 16 or 32 bits.

  Returns:
    `[..., ceil(n / word), ...]` unsigned, tagged with their length `n`; bits
    past `n` are unset.

  Raises:
    TypeError: not an array, or a dtype without signs.
    ValueError: another word length, an axis that does not exist, or NaN.

  Example:
    >>> pack_signs(jnp.array([1.0, -1.0, 1.0]), word=8)
    [5]
  """
  dtype = _word_dtype(word)
  x = _array("pack_signs", x)
  if not _signed(x.dtype):
    raise TypeError(
      f"Signs are those of floats or signed integers, got {x.dtype}: of bits b,"
      " pack `2.0 * b - 1`."
    )
  axis = _axis(x, axis)
  known = not isinstance(x, jax.core.Tracer) and x.is_fully_addressable
  if known and np.isnan(np.asarray(x)).any():
    raise ValueError(
      "NaN has no sign: `pack_signs` got an array that holds one."
    )
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
    TypeError: not an array, or a `length` or `dtype` of another type.
    ValueError: the words do not hold exactly `length` signs.
  """
  packed = _array("unpack_signs", packed)
  length = _index("length", length)
  if length < 0:
    raise ValueError(f"`length` must be an int >= 0, got {length}.")
  if not _signed(dtype):
    raise TypeError(f"`dtype` must hold -1 and +1, got {dtype!r}.")
  word = packed.dtype.itemsize * 8
  if packed.dtype not in [jnp.dtype(t) for t in WORDS.values()]:
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


def _array(function: str, x) -> jax.Array:
  if not isinstance(x, (jax.Array, np.ndarray)):
    raise TypeError(f"`{function}` takes an array, got {type(x).__name__}.")
  if x.dtype.kind in "OSUMm":
    raise TypeError(f"`{function}` takes numbers, got an array of {x.dtype}.")
  return jnp.asarray(x)


def _signed(dtype) -> bool:
  if dtype is None:  # numpy reads it as float64
    return False
  try:
    with warnings.catch_warnings():
      warnings.simplefilter("error")  # of numpy, about deprecated names
      dtype = jnp.dtype(dtype)
  except (TypeError, ValueError, Warning):
    return False
  kinds = (jnp.floating, jnp.signedinteger)
  return any(jnp.issubdtype(dtype, kind) for kind in kinds)


def _index(name: str, value) -> int:
  try:
    if isinstance(value, (bool, np.bool_)):
      raise TypeError
    return operator.index(value)
  except TypeError:
    raise TypeError(f"`{name}` must be an int, got {value!r}.") from None


def _word_dtype(word: int):
  if _index("word", word) not in WORDS:
    raise ValueError(f"`word` must be one of {sorted(WORDS)}, got {word}.")
  return WORDS[word]


def _axis(x: jax.Array, axis: int) -> int:
  axis = _index("axis", axis)
  if not -x.ndim <= axis < x.ndim:
    raise ValueError(f"Axis {axis} does not exist in shape {x.shape}.")
  return axis % x.ndim
