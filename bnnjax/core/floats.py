"""Arrays that binarizers compute with: floats, and nothing divided by 0."""

import jax
import jax.numpy as jnp


def as_float(x: jax.Array) -> jax.Array:
  """An array of floats as it is, of integers as float32.

  Raises:
    TypeError: complex numbers, or no numbers at all.
  """
  x = jnp.asarray(x)
  if jnp.issubdtype(x.dtype, jnp.floating):
    return x
  if x.dtype == bool or jnp.issubdtype(x.dtype, jnp.integer):
    return x.astype(jnp.float32)
  raise TypeError(f"Real numbers are binarized, got an array of {x.dtype}.")


def divisor(scale: jax.Array | float) -> jax.Array | float:
  """The scale, the least normal number where it is 0.

  The scale of a dead channel is 0: formulas divide by it, and 0 / 0 has no
  value. Subnormal numbers count as 0, as they do in the arithmetic of XLA.
  """
  if isinstance(scale, (int, float)):
    return scale or float(jnp.finfo(jnp.float32).tiny)
  scale = as_float(scale)
  tiny = jnp.finfo(scale.dtype).tiny
  return jnp.where(jnp.abs(scale) < tiny, tiny, scale)
