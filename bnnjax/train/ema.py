"""Averages of the parameters over the steps, which a run evaluates.

    average <- average + s (value - average),   s = max(1 - decay, 9 / (10 + t))

after step `t` of the schedule (from 0). The second number is the warm-up of
TensorFlow's `ExponentialMovingAverage` and of timm: without it the average of a
short run would stay close to its random start. A stage that restarts its schedule
begins at 0 again, with the average of the stage before.

These are averaged:

* Parameters. For a binarized layer that is the latent weight; the network takes
  the sign of the average, a weighted majority vote of the steps.
* Batch statistics, as in timm and in EfficientNet's code, because they belong to
  the weights of the same steps.

These are not, and stay as after the last step:

* Weights without a latent one (Bop) and counters, which have no mean.
* Bounds, hashes and other statistics of binarizers, which events set and freeze.

The average is a part of the state, `state["ema"] = {"params": ..., "rest": ...}`,
in float32 or wider. A run without an average does not have that part.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax import deprecated
from bnnjax.train.networks import Network
from bnnjax.train.state import State

PART = "ema"


@dataclasses.dataclass(frozen=True)
class Average:
  """How fast the average of a stage forgets.

  Attributes:
    decay: share of the old average that a step keeps after the warm-up.
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
      before: the state with the average and the number of the step.
      after: the state after the step, still without its average.
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
  """The parts of a state (or of its shapes) that are averaged."""
  wanted = nnx.to_flat_state(nnx.state(network.abstract, nnx.BatchStat))
  rest = nnx.traversals.flatten_mapping(state["rest"])
  chosen = {path: rest[path] for path, _ in wanted}
  return {
    "params": state["params"],
    "rest": nnx.traversals.unflatten_mapping(chosen),
  }


def begin(network: Network, state: State) -> State:
  """`state` with an average that starts from its values."""

  def start(x):
    dtype = x.dtype
    if jnp.issubdtype(dtype, jnp.floating):
      dtype = jnp.promote_types(dtype, jnp.float32)
    if isinstance(x, jax.ShapeDtypeStruct):
      return jax.ShapeDtypeStruct(x.shape, dtype, sharding=x.sharding)
    # A copy: the train step overwrites both.
    return jnp.array(x, dtype, copy=True)

  return {**state, PART: jax.tree.map(start, averaged_parts(network, state))}


def deployed(state: State) -> State:
  """`params` and `rest` of the deployed network: the average, if there is one.

  Args:
    state: with an average, `params` may be shapes.
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
  """`after` with an average in which parameters that an event set are replaced.

  A mean of the values before and after an event (e.g. a scale measured from data)
  would have no meaning.
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


__getattr__ = deprecated.old_names(
  __name__,
  {
    "carry_over": "bnnjax.train.stages.carry_over",
  },
)
