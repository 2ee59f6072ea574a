"""Bop: an optimizer that flips binary weights; there is no latent weight.

Latent Weights Do Not Exist: Rethinking Binarized Neural Network Optimization,
Helwegen et al., NeurIPS 2019, arXiv:1906.02107, algorithm 1.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from bnnjax.core import registry
from bnnjax.core.settings import Settings

SCHEDULES = ("constant", "linear", "cosine", "exponential")


class BopState(NamedTuple):
  """Step count and exponential average of the gradients."""

  count: jax.Array
  average: Any


def bop(
  gamma: float | optax.Schedule = 1e-4, threshold: float = 1e-8
) -> optax.GradientTransformation:
  """Flips a weight that a steady gradient has argued against for long enough.

  `m <- (1 - gamma) m + gamma g`; where `|m| > threshold` and
  `sign(m) = sign(w)`, `w <- -w`. Every other weight stays. larq's `Bop` is the
  same rule with the same defaults; its `gamma` is a number or a schedule, too,
  but another optimizer for another `gamma` begins with an average of 0, where
  here it goes on.

  Args:
    gamma: adaptivity rate, or a schedule of it; the paper starts at 1e-4.
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


def make_gamma(settings: Settings, steps: int) -> float | optax.Schedule:
  """The adaptivity rate of every step; the average knows nothing of it.

  The paper's ImageNet runs decay 1e-4 to 1e-6 ("exponential" is a straight line
  between them in the logarithm).

  Args:
    settings: `gamma`, `schedule`, and but for "constant" `end_gamma`.
    steps: until `end_gamma` is reached.

  Raises:
    ValueError: an unknown schedule, a rate outside (0, 1], or an end outside
      [0, 1], which "exponential" never reaches at 0.
  """
  name, gamma = settings["schedule"], settings["gamma"]
  if name not in SCHEDULES:
    raise registry.unknown("schedule of `optim.bop`", name, SCHEDULES)
  if not 0 < gamma <= 1:
    raise ValueError(f"`optim.bop.gamma` must be in (0, 1], got {gamma}.")
  if name == "constant":
    return gamma
  end = settings["end_gamma"]
  if not 0 <= end <= 1 or (name == "exponential" and not end):
    least = "(0, 1]" if name == "exponential" else "[0, 1]"
    raise ValueError(
      f"`optim.bop.end_gamma` must be in {least} with the schedule {name!r}, got"
      f" {end}."
    )
  return {
    "linear": lambda: optax.linear_schedule(gamma, end, steps),
    "cosine": lambda: optax.cosine_decay_schedule(gamma, steps, end / gamma),
    "exponential": lambda: optax.exponential_decay(gamma, steps, end / gamma),
  }[name]()
