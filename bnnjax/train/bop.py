"""Bop: an optimizer that flips binary weights; there is no latent weight.

Latent Weights Do Not Exist: Rethinking Binarized Neural Network Optimization,
Helwegen et al., NeurIPS 2019, arXiv:1906.02107, algorithm 1.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax


class BopState(NamedTuple):
  """Step count and exponential average of the gradients."""

  count: jax.Array
  average: Any


def bop(
  gamma: float | optax.Schedule = 1e-4, threshold: float = 1e-8
) -> optax.GradientTransformation:
  """Flips a weight that a steady gradient has argued against for long enough.

  `m <- (1 - gamma) m + gamma g`; where `|m| > threshold` and
  `sign(m) = sign(w)`, `w <- -w`. Every other weight stays.

  Args:
    gamma: adaptivity rate, or a schedule of it; 1e-4 in the paper.
    threshold: how strong the averaged gradient has to be; 1e-8 in the paper.

  Returns:
    An optax transformation for parameters in {-1, +1}; a parameter outside is
    set to its sign by the first update.

  Raises:
    ValueError: `gamma` is not in (0, 1], or `threshold` is negative.
  """
  if not callable(gamma) and not 0 < gamma <= 1:
    raise ValueError(f"`gamma` must be in (0, 1], got {gamma}.")
  if threshold < 0:
    raise ValueError(f"`threshold` must not be negative, got {threshold}.")

  def init(params):
    zeros = jax.tree.map(jnp.zeros_like, params)
    return BopState(jnp.zeros((), jnp.int32), zeros)

  def update(updates, state, params):
    if params is None:
      raise ValueError("Bop needs the weights that it flips.")
    rate = gamma(state.count) if callable(gamma) else gamma
    average = jax.tree.map(
      lambda m, g: (1 - rate) * m + rate * g, state.average, updates
    )

    def change(m, w):
      now = jnp.where(w >= 0, 1, -1).astype(w.dtype)
      flips = (jnp.abs(m) > threshold) & (jnp.sign(m) == now)
      return jnp.where(flips, -now, now) - w

    return (
      jax.tree.map(change, average, params),
      BopState(state.count + 1, average),
    )

  return optax.GradientTransformation(init, update)
