"""Measures of the training of binary networks, as pure functions of arrays.

Each takes one tensor, or a tree of tensors if it says so.
"""

from typing import Any

import jax
import jax.numpy as jnp

from bnnjax.core.numerics import sign


def flip_ratio(before: jax.Array, after: jax.Array) -> jax.Array:
  """Share of the signs that an update changed, in [0, 1].

  Args:
    before, after: latent weights `[...]`; 0 counts as +1.

  Returns:
    A scalar, float32.

  Example:
    >>> flip_ratio(jnp.array([1.0, -1.0]), jnp.array([0.5, 0.5]))
    0.5
  """
  return jnp.mean((before >= 0) != (after >= 0), dtype=jnp.float32)


def sign_balance(w: jax.Array) -> jax.Array:
  """Mean sign of each output channel, in [-1, 1]; 0 carries most information.

  Args:
    w: latent weights `[..., C]`.

  Returns:
    `[C]`, float32.
  """
  return jnp.mean(sign(w.astype(jnp.float32)), axis=tuple(range(w.ndim - 1)))


def power_sign(x: jax.Array, o: jax.Array | float) -> jax.Array:
  """`sign(x) |x|^(1/o)`: the identity at `o = 1`, the sign as `o` grows.

  ReSTE (Wu et al. 2023, 2308.06689, eq. 4). 0 stays 0. Do not differentiate it:
  its derivative at 0 is infinite.
  """
  return jnp.sign(x) * jnp.abs(x) ** (1 / o)


def estimating_error(weights: Any, o: jax.Array | float) -> jax.Array:
  """Distance between the sign and its surrogate function (ReSTE, eq. 8).

  `sum_layers || f_o(w) - sign(w) ||_2` over latent weights.

  Args:
    weights: an array or a tree of arrays.
    o: exponent of `f_o`, see `power_sign`; 1 is the straight-through estimator.
  """
  return sum(
    jnp.sqrt(jnp.sum(jnp.square(power_sign(w, o) - jnp.sign(w))))
    for w in jax.tree.leaves(weights)
  )


def gradient_stability(gradients: Any) -> jax.Array:
  """Spread of the gradient magnitudes (ReSTE, eq. 9); smaller is more stable.

  `sum_layers var(|g|)`, unbiased variance over the elements of a layer; that of
  a single element is 0.

  Args:
    gradients: of the latent weights, an array or a tree of arrays.
  """
  return sum(
    jnp.var(jnp.abs(g), ddof=min(1, g.size - 1))
    for g in jax.tree.leaves(gradients)
  )
