"""Attention masks: which keys a query may attend to."""

import jax
import jax.numpy as jnp


def checked(
  mask: jax.Array | None, shape: tuple[int, int, int, int]
) -> jax.Array | None:
  """The mask with rank 4 and its last axis broadcast to all keys.

  Args:
    mask: bool, broadcasts against `shape`; or `None`.
    shape: batch, heads, queries, keys.

  Raises:
    ValueError: not bool, or not broadcastable to `shape`.
  """
  if mask is None:
    return None
  if mask.dtype != bool:
    raise ValueError(
      f"`mask` must be bool (True: may be seen), got {mask.dtype}."
    )
  padded = (1,) * (4 - mask.ndim) + mask.shape
  if mask.ndim > 4 or any(m not in (1, n) for m, n in zip(padded, shape)):
    raise ValueError(
      f"`mask` must broadcast to [batch, heads, queries, keys] = {shape}: got"
      f" shape {mask.shape}."
    )
  return jnp.broadcast_to(mask, (*padded[:3], shape[3]))


def visible(
  mask: jax.Array | None,
  queries: int,
  keys: int,
  causal: bool,
  end: jax.Array | None,
) -> jax.Array | None:
  """The mask combined with causality and the fill of a cache.

  Args:
    mask: of rank 4, or `None` if every key is visible.
    queries, keys: their numbers.
    causal: whether a query attends only to itself and earlier tokens.
    end: number of tokens in the cache, the last ones being the queries; `None`
      without a cache.
  """
  if not causal and end is None:
    return mask
  seen = jnp.arange(keys)[None]
  if causal:
    first = 0 if end is None else end - queries
    seen = seen <= first + jnp.arange(queries)[:, None]
  else:
    seen = seen < end
  return seen if mask is None else mask & seen
