"""Averages of the parameters over the steps: what is evaluated of a run.

    average <- average + s (value - average),   s = max(1 - decay, 9 / (10 + t))

after step `t` of the schedule (from 0). The second number is the warm-up of
TensorFlow's `ExponentialMovingAverage` and of timm: without it the average of a
short run would be that of its random start. A stage that restarts its schedule
begins at 0 again, with the average that it is handed.

What is averaged, and what is not:

* parameters; of a binarized layer the latent weight, of which the network takes
  the sign after it is averaged: a majority vote of the steps, weighted;
* not weights without a latent one (Bop), nor counters: they have no mean;
* batch statistics, as in timm and in EfficientNet's code: they belong to the
  weights of the same steps. Bounds, hashes and other statistics of binarizers
  stay those of the last step: they are set by events and frozen.

The average is part of the state, `state["ema"] = {"params": ..., "rest": ...}`,
of float32 at least; without an average the state does not have that part.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.train.networks import Network
from bnnjax.train.state import State

PART = "ema"


@dataclasses.dataclass(frozen=True)
class Average:
  """How fast the average of a stage forgets.

  Attributes:
    decay: share of the old average that a step keeps, after the warm-up.
    began: step of the run at which the schedule began.

  Raises:
    ValueError: a decay outside (0, 1).
  """

  decay: float
  began: int = 0

  def __post_init__(self):
    if not 0 < self.decay < 1:
      raise ValueError(
        "`optim.ema` must be in [0, 1), e.g. 0.999; 0: no average. Got"
        f" {self.decay}."
      )

  def update(self, network: Network, before: State, after: State) -> Any:
    """The average with the variables after a step.

    Args:
      network: of both states.
      before: has the average, and the number of the step.
      after: without its average.
    """
    t = (before["step"] - self.began).astype(jnp.float32)
    share = jnp.maximum(1 - self.decay, 9 / (10 + t))

    def mean(old, new, kind="statistic"):
      new = new.astype(old.dtype)
      if kind == "binary" or not jnp.issubdtype(new.dtype, jnp.floating):
        return new  # signs and counters have no mean
      # In this form what does not change stays as it is, to the bit.
      return old + share.astype(old.dtype) * (new - old)

    old, new = before[PART], averaged_parts(network, after)
    return {
      "params": jax.tree.map(mean, old["params"], new["params"], network.kinds),
      "rest": jax.tree.map(mean, old["rest"], new["rest"]),
    }


def averaged_parts(network: Network, state: State) -> dict[str, Any]:
  """Of a state (or shapes of one) what the average is of."""
  wanted = nnx.to_flat_state(nnx.state(network.abstract, nnx.BatchStat))
  rest = nnx.traversals.flatten_mapping(state["rest"])
  chosen = {path: rest[path] for path, _ in wanted}
  return {
    "params": state["params"],
    "rest": nnx.traversals.unflatten_mapping(chosen),
  }


def begin(network: Network, state: State) -> State:
  """`state` with an average that begins with its values."""

  def start(x):
    dtype = x.dtype
    if jnp.issubdtype(dtype, jnp.floating):
      dtype = jnp.promote_types(dtype, jnp.float32)
    if isinstance(x, jax.ShapeDtypeStruct):
      return jax.ShapeDtypeStruct(x.shape, dtype, sharding=x.sharding)
    # A copy: the train step is given both to overwrite.
    return jnp.array(x, dtype, copy=True)

  return {**state, PART: jax.tree.map(start, averaged_parts(network, state))}


def deployed(state: State) -> State:
  """`params` and `rest` of the network that a run gives: the average, if any.

  Args:
    state: `params` may be shapes where there is an average.
  """
  if PART not in state:
    return {k: state[k] for k in ("params", "rest")}
  average = state[PART]
  rest = nnx.traversals.flatten_mapping(state["rest"])
  means = nnx.traversals.flatten_mapping(average["rest"])
  rest |= {k: x.astype(rest[k].dtype) for k, x in means.items()}
  return {
    "params": jax.tree.map(
      lambda x, like: x.astype(like.dtype), average["params"], state["params"]
    ),
    "rest": nnx.traversals.unflatten_mapping(rest),
  }


def follow(before: State, after: State) -> State:
  """`after` with an average that takes over what an event has set.

  A parameter that jumps (a scale from data) has no mean of before and after.
  """
  if PART not in before:
    return after
  params = jax.tree.map(
    lambda mean, old, new: jnp.where(old == new, mean, new.astype(mean.dtype)),
    before[PART]["params"],
    before["params"],
    after["params"],
  )
  return {**after, PART: {**before[PART], "params": params}}
