"""Bop: an optimizer that flips binary weights and needs no latent weights.

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
  """Flips a weight once its averaged gradient is strong enough.

  `m <- (1 - gamma) m + gamma g`; then `w <- -w` where `|m| > threshold` and
  `sign(m) = sign(w)`, and `w` stays everywhere else. larq's `Bop` is the same
  rule with the same defaults. There, too, `gamma` is a number or a schedule;
  but a new optimizer with another `gamma` starts with an average of 0, while
  here a stage keeps the average.

  Args:
    gamma: adaptivity rate, or a schedule of it; the paper starts at 1e-4.
    threshold: of the averaged gradient; 1e-8 in the paper.

  Returns:
    An optax transformation for parameters in {-1, +1}; the first update replaces
    any other parameter by its sign.

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
  """The adaptivity rate as a function of the step.

  The paper's ImageNet runs decay from 1e-4 to 1e-6; with "exponential" the
  logarithm falls along a straight line.

  Args:
    settings: `gamma`, `schedule`, and, unless it is "constant", `end_gamma`.
    steps: until `end_gamma` is reached.

  Raises:
    ValueError: the schedule is unknown, the rate is not in (0, 1], or the end
      is not in [0, 1] (for "exponential" not in (0, 1], as it never reaches 0).
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
