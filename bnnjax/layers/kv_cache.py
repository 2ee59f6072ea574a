"""The key-value cache of attention, for decoding token by token."""

import dataclasses
import functools

import jax
import jax.numpy as jnp


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=("key", "value", "length"),
  meta_fields=(),
)
@dataclasses.dataclass(frozen=True)
class KVCache:
  """Keys and values of one attention layer.

  Attributes:
    key, value: `[B, S, kv_heads, D]`, float, filled up to `length`.
    length: number of tokens, int32.
  """

  key: jax.Array
  value: jax.Array
  length: jax.Array

  @classmethod
  def empty(cls, shape: tuple[int, int, int, int], dtype=jnp.float32):
    """A cache of shape `[B, S, kv_heads, D]` without tokens."""
    # Two buffers, so that a step can donate both.
    key, value = (jnp.zeros(shape, dtype) for _ in range(2))
    return cls(key, value, jnp.zeros((), jnp.int32))

  def extended(self, key: jax.Array, value: jax.Array) -> "KVCache":
    """The cache with the next tokens' keys and values `[B, T, kv_heads, D]`.

    A cache that overflows holds NaN: the length is not known at trace time, so
    no error can be raised, and overwritten tokens would go unnoticed.

    Raises:
      ValueError: incompatible shapes, or more tokens than the cache can hold.
    """
    batch, room, *heads = self.key.shape
    fits = (key.shape[0], *key.shape[2:]) == (batch, *heads)
    if not fits or key.shape[1] > room:
      raise ValueError(
        f"The cache is [batch, tokens, kv_heads, D] = {self.key.shape}: keys of"
        f" {key.shape} do not fit."
      )
    length = self.length + key.shape[1]

    def put(old, new):
      at = (0, self.length, 0, 0)
      new = jax.lax.dynamic_update_slice(old, new.astype(old.dtype), at)
      return jnp.where(length > room, jnp.nan, new)

    return KVCache(put(self.key, key), put(self.value, value), length)
