"""Equal layers with stacked variables: scanned, and compiled once."""

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

# What is stored for the backward pass, which recomputes the rest.
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
  """`x_{l+1} = layer_l(x_l)` for layers that only differ in their variables.

  A variable of `layer` is `[layers, ...]`, one slice per layer. It keeps its
  type and is marked as stacked, so that code that depends on a variable's axes
  (weight decay, a measured scale) can skip the first one. The program is that
  of one layer, whatever their number.

  Args:
    build: creates one layer. The layer is called as
      `layer(x, mode, cache=cache)` and returns `x`, or with a cache
      `(x, cache)`.
    layers: number of layers.
    remat: `"none"`; `"block"`: the backward pass recomputes each layer from its
      stored input; or a name of `jax.checkpoint_policies`.
    rngs: random numbers, different ones for each layer; `params` is used.

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
    # Not `vmap`: drawing for many keys at once takes three times as long to
    # compile.
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
      mode: training or deployment.
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
    # Layers share one progress; of other variables each has a slice.
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
      # States of collectors may be larger than the model. Carried through the
      # scan they are updated in place; scanned over, they would exist twice.
      states = jax.tree.map(lambda s, v: _update(s, v, number), states, state)
      new = nnx.filter_state(new, nnx.Not(nnx.Param)) if trains else None
      return (x, states), (cache, new, x if sows else None)

    if self.remat != "none":
      policy = getattr(jax.checkpoint_policies, self.remat, None)
      # In a scan there is nothing that recomputed operations could merge with.
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
