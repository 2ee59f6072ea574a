"""Equal layers as one: stacked variables, scanned, compiled once."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.progress import Mode
from bnnjax.layers.collection_point import Collected
from bnnjax.layers.intermediates import sow
from bnnjax.layers.mode import RunProgress, parts
from bnnjax.layers.variables import STACKED

# What the backward pass finds stored; the rest it computes again.
POLICIES = (
  "checkpoint_dots",
  "checkpoint_dots_with_no_batch_dims",
  "dots_saveable",
  "dots_with_no_batch_dims_saveable",
  "everything_saveable",
  "nothing_saveable",
)
REMAT = ("none", "block", *POLICIES)
_index = functools.partial(jax.lax.dynamic_index_in_dim, keepdims=False)
_update = functools.partial(jax.lax.dynamic_update_index_in_dim, axis=0)


class Stack(nnx.Module):
  """`x_{l+1} = layer_l(x_l)` for layers that differ in their variables only.

  A variable of `layer` is `[layers, ...]`, one slice a layer; it keeps its type
  and is marked as stacked, so that what asks for a variable's axes (weight
  decay, a measured scale) can leave the first one out. Program and compilation
  are those of one layer, whatever their number.

  Args:
    build: makes one layer, called as `layer(x, mode, cache=cache)`; it returns
      `x`, or with a cache `(x, cache)`.
    layers: their number.
    remat: `"none"`; `"block"`: the backward pass stores the input of each layer
      and computes the layer again; or a name of `jax.checkpoint_policies`.
    rngs: random numbers, other ones for each layer; `params` is used.

  Raises:
    ValueError: an unknown policy, or no layer.
  """

  def __init__(
    self,
    build: Callable[[nnx.Rngs], nnx.Module],
    layers: int,
    *,
    remat: str = "none",
    rngs: nnx.Rngs,
  ):
    if remat not in REMAT:
      raise registry.unknown("remat", remat, REMAT)
    if layers < 1:
      raise ValueError(f"A stack has at least one layer, got {layers}.")
    keys = jax.random.split(rngs.params(), layers)
    # Not `vmap`: random numbers of many keys at once compile three times longer.
    self.layer = jax.lax.map(lambda key: build(nnx.Rngs(key)), keys)
    for _, variable in nnx.iter_graph(self.layer):
      if isinstance(variable, nnx.Variable):
        variable.set_metadata(STACKED, True)
        if names := variable.get_metadata("out_sharding", None):
          variable.set_metadata(out_sharding=(None, *names))
    self.layers, self.remat = layers, remat

  def __call__(
    self, x: jax.Array, mode: Mode | None = None, *, caches: Any = None
  ) -> Any:
    """All layers, one after the other.

    Args:
      x: what the first layer takes and every layer returns.
      mode: on whose behalf.
      caches: of all layers, stacked like the variables.

    Returns:
      `x`; with caches, that and the new caches.
    """
    inside, sows = mode, mode is not None and mode.sow
    if sows:
      inside = dataclasses.replace(mode, sow=False)
    trains = (
      any(p.trains for p in parts(self.layer)) if mode is None else mode.train
    )
    # One progress for all layers, the other variables have a slice each.
    graph, progress, states, slices = nnx.split(
      self.layer, RunProgress, Collected, ...
    )
    numbers = jnp.arange(self.layers) if jax.tree.leaves(states) else None

    def body(carry, item):
      (x, states), (number, layer, cache) = carry, item
      state = jax.tree.map(lambda s: _index(s, number), states)
      layer = nnx.merge(graph, progress, state, layer)
      x = layer(x, inside, cache=cache)
      x, cache = x if cache is not None else (x, None)
      _, _, state, new = nnx.split(layer, RunProgress, Collected, ...)
      # States of collectors may be larger than the model: carried, they are
      # updated in place, where scanned ones would be there twice.
      states = jax.tree.map(lambda s, v: _update(s, v, number), states, state)
      new = nnx.filter_state(new, nnx.Not(nnx.Param)) if trains else None
      return (x, states), (cache, new, x if sows else None)

    if self.remat != "none":
      policy = getattr(jax.checkpoint_policies, self.remat, None)
      # In a scan nothing is there to be merged with what is computed again.
      body = jax.checkpoint(body, policy=policy, prevent_cse=False)
    (x, states), (caches, new, each) = jax.lax.scan(
      body, (x, states), (numbers, slices, caches)
    )
    nnx.update(self.layer, states)
    if trains:
      nnx.update(self.layer, new)
    for number in range(self.layers if sows else 0):
      sow(self, mode, hidden_states=each[number])
    return x if caches is None else (x, caches)
