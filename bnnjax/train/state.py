"""The state of a run: one pure dict of arrays.

    {"params": ..., "rest": ..., "opt": ..., "step": int32, "bad_step": int32}

and, where parameters are averaged, `"ema"`, see `bnnjax.train.ema`.

`params` are all `nnx.Param`s, `rest` the other variables (batch statistics,
statistics of binarizers). `bad_step` is the first step whose loss or gradient
was not finite, -1 if there is none.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from bnnjax import deprecated
from bnnjax.train.networks import Network

State = dict[str, Any]


def make_state(
  network: Network, optimizer: optax.GradientTransformation, seed: int
) -> State:
  """The state before the first step."""
  params, rest = network.variables(seed)
  return {
    "params": params,
    "rest": rest,
    "opt": jax.jit(optimizer.init)(params),
    "step": jnp.zeros((), jnp.int32),
    "bad_step": jnp.full((), -1, jnp.int32),
  }


__getattr__ = deprecated.old_names(
  __name__,
  {
    "carry_over": "bnnjax.train.stages.carry_over",
  },
)
