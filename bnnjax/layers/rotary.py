"""Rotary position embedding (RoFormer, Su et al. 2021, arXiv:2104.09864)."""

import jax
import jax.numpy as jnp


def rotate(x: jax.Array, positions: jax.Array, base: float) -> jax.Array:
  """Rotates pairs of features by angles proportional to the position.

  `(a, b) -> (a cos t - b sin t, b cos t + a sin t)` with `t = p base^(-2i/D)`
  for the pair `(x_i, x_{i + D/2})`, as in LLaMA's released weights.

  Args:
    x: `[B, T, heads, D]`.
    positions: int `[T]`.
    base: of the frequencies; 10,000 in most models.

  Returns:
    `[B, T, heads, D]`, dtype of `x`.

  Raises:
    ValueError: an odd `D`.
  """
  size = x.shape[-1]
  if size % 2:
    raise ValueError(f"Rotary embedding rotates pairs: got {size} features.")
  frequency = base ** (-jnp.arange(0, size, 2, dtype=jnp.float32) / size)
  angle = positions[:, None, None] * frequency  # [T, 1, D / 2]
  a, b = jnp.split(x.astype(jnp.float32), 2, axis=-1)
  cos, sin = jnp.cos(angle), jnp.sin(angle)
  y = jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)
  return y.astype(x.dtype)
