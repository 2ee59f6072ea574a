"""The state of a run: one pure dict of arrays, and how it is made.

    {"params": ..., "rest": ..., "opt": ..., "step": int32, "bad_step": int32}

and, where parameters are averaged, `"ema"`, see `bnnjax.train.ema`.

`params` are all `nnx.Param`s, `rest` the other variables (batch statistics,
binarizer statistics), `bad_step` the first step whose loss or gradient was not finite, -1
for none.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from bnnjax import models
from bnnjax.layers.binarizer_state import reinitialize_from_weights
from bnnjax.layers.variables import (
  STACKED,
  BinarizerParam,
  BinaryWeight,
  LatentWeight,
)

State = dict[str, Any]
WEIGHT = ("weight", "params")  # where a layer keeps its kernel's scales


@dataclasses.dataclass(frozen=True)
class Network:
  """A model's structure without its arrays.

  Attributes:
    graphdef: what `nnx.split` gives.
    kinds: tree like the parameters: `"latent"`, `"binary"` (weights without a
      latent one), `"binarizer"` (scales, thresholds), `"float"`, or
      `"undecayed"` for a float one that weight decay must not take for a matrix.
    abstract: the module with shapes for arrays.
    build: makes the module from `nnx.Rngs`.
  """

  graphdef: Any
  kinds: Any
  abstract: nnx.Module
  build: Callable[[nnx.Rngs], nnx.Module]

  @classmethod
  def of(cls, build: Callable[[nnx.Rngs], nnx.Module]) -> "Network":
    """Reads the structure without allocating an array."""
    abstract = models.abstract(build)
    module = abstract
    if models.draws(abstract):  # dropout: its stream has to be a real one
      module = nnx.eval_shape(lambda: build(nnx.Rngs(0)))
    graphdef, params, _ = nnx.split(module, nnx.Param, ...)
    kinds = jax.tree.map(
      _kind, params, is_leaf=lambda v: isinstance(v, nnx.Variable)
    )
    return cls(graphdef, nnx.to_pure_dict(kinds), abstract, build)

  def variables(self, seed: int) -> tuple[Any, Any]:
    """Initial `params` and `rest`, made under jit."""

    @jax.jit
    def make(key):
      _, params, rest = nnx.split(self.build(nnx.Rngs(key)), nnx.Param, ...)
      # An array of weak type changes type in the first step: a new trace.
      return jax.tree.map(
        lambda x: jax.lax.convert_element_type(x, x.dtype),
        (nnx.to_pure_dict(params), nnx.to_pure_dict(rest)),
      )

    return make(jax.random.key(seed))

  def merge(self, state: State) -> nnx.Module:
    """The module with the arrays of `state`."""
    return nnx.merge(self.graphdef, state["params"], state["rest"])


KINDS = (
  (BinaryWeight, "binary"),
  (LatentWeight, "latent"),
  (BinarizerParam, "binarizer"),
  (nnx.Param, "float"),
)


def _kind(variable: nnx.Variable) -> str:
  """The label by which optimizers and metrics choose."""
  kind = next(name for type_, name in KINDS if isinstance(variable, type_))
  vectors = variable.get_metadata(STACKED, False) and len(variable.shape) < 3
  decay = variable.get_metadata("decay", True) and not vectors
  return kind if decay or kind != "float" else "undecayed"


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


def carry_over(
  network: Network, old: State, new: State, *, fresh: bool
) -> State:
  """`new` with the arrays that `old` has under the same path and shape.

  How a network passes from one stage of a run to the next. What only the new
  stage has keeps its initial value; a scale of weights is measured again.

  Args:
    network: of the new stage.
    old, new: states of the two stages.
    fresh: the optimizer starts anew.
  """
  parts = ("params", "rest") if fresh else ("params", "rest", "opt")
  kept = {
    jax.tree_util.keystr(path): leaf
    for path, leaf in jax.tree_util.tree_leaves_with_path(
      {part: old[part] for part in parts}
    )
  }

  def take(path, leaf):
    mine = kept.get(jax.tree_util.keystr(path))
    return leaf if mine is None or mine.shape != leaf.shape else mine

  moved = jax.tree_util.tree_map_with_path(
    take, {part: new[part] for part in parts}
  )
  moved |= _remeasured(network, moved, old)
  return {**new, **moved, "step": old["step"], "bad_step": old["bad_step"]}


def _remeasured(network: Network, state: State, old: State) -> State:
  """`params` and `rest` with the scales that the old network did not have."""
  model = network.merge(state)
  known = {path for path, _ in nnx.to_flat_state(nnx.State(old["params"]))}
  found = nnx.to_flat_state(nnx.state(model, BinarizerParam))
  paths = [path for path, _ in found if path not in known]
  layers = {".".join(map(str, p[:-3])) for p in paths if p[-3:-1] == WEIGHT}
  reinitialize_from_weights(model, layers)
  _, params, rest = nnx.split(model, nnx.Param, ...)
  return {
    "params": nnx.to_pure_dict(params),
    "rest": nnx.to_pure_dict(rest),
  }
