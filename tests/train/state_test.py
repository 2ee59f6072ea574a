"""The state before the first step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from bnnjax.layers.linear import Linear
from bnnjax.layers.norm import BatchNorm
from bnnjax.train.networks import Network
from bnnjax.train.state import make_state


class Small(nnx.Module):
  def __init__(self, rngs):
    self.layer = Linear(3, 2, weight="ste", rngs=rngs)
    self.norm = BatchNorm(2, rngs=rngs)


def test_parts_of_a_state():
  network, rule = Network.of(Small), optax.sgd(0.1, momentum=0.9)
  state = make_state(network, rule, 3)
  assert state["step"] == 0
  assert state["bad_step"] == -1
  assert state["params"]["layer"]["kernel"].shape == (3, 2)
  assert set(state["rest"]["norm"]) == {"mean", "var"}
  moments = jax.tree.leaves(state["opt"])
  assert len(moments) == len(jax.tree.leaves(state["params"]))
  assert not any(np.any(m) for m in moments)
  # A weak type would become another type in the first step.
  assert not any(jnp.asarray(x).weak_type for x in jax.tree.leaves(state))
  again = make_state(network, rule, 3)
  jax.tree.map(np.testing.assert_array_equal, state, again)
  other = make_state(network, rule, 4)["params"]["layer"]["kernel"]
  assert np.any(other != state["params"]["layer"]["kernel"])
