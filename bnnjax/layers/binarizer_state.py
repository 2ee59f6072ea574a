"""Variables of all binarizers of a model: copied, or initialized again."""

import functools
from collections.abc import Container
from typing import Any

import jax
from flax import nnx
from jax import numpy as jnp

from bnnjax.core.binarizer import Binarizer
from bnnjax.layers.binarize import Binarize, has_random_scale
from bnnjax.layers.variables import (
  STACKED,
  LatentWeight,
  TrainingParam,
  arrays_of,
)


def reinitialize_from_weights(
  model: nnx.Module, layers: Container[str]
) -> None:
  """Initializes weight binarizers again after their weights were replaced.

  A learned scale starts at the mean magnitude of a random kernel; with another
  kernel it has to start from that one. In place.

  Args:
    model: any module.
    layers: dotted paths of the layers whose weights were replaced.
  """
  for path, layer in nnx.iter_modules(model):
    old = getattr(layer, "weight", None)
    if not isinstance(old, Binarize) or not arrays_of(old.params):
      continue
    if has_random_scale(old.binarizer):  # not measured
      continue
    if ".".join(map(str, path)) in layers:
      weights = vars(layer).values()
      (weight,) = (w for w in weights if isinstance(w, LatentWeight))
      measure = functools.partial(_measured, old.binarizer)
      if weight.get_metadata(STACKED, False):
        measure = jax.vmap(measure)
      nnx.update(old, measure(weight[...]))


def copy_learned(model: nnx.Module, source: nnx.Module) -> None:
  """Copies the variables of another model's binarizers, in place.

  Only where both models have the same binarizer with the same shapes at the
  same path.
  """
  theirs = {
    path: module
    for path, module in nnx.iter_modules(source)
    if isinstance(module, Binarize)
  }
  for path, mine in nnx.iter_modules(model):
    other = theirs.get(path)
    if not isinstance(mine, Binarize) or other is None:
      continue
    old, new = nnx.state(mine), nnx.state(other)
    shapes = [jax.tree.map(jnp.shape, state) for state in (old, new)]
    if mine.binarizer == other.binarizer and shapes[0] == shapes[1]:
      nnx.update(mine, jax.tree.map(placed_like, new, old))


def placed_like(new: Any, old: jax.Array) -> jax.Array:
  """An array in the dtype and sharding of another."""
  return jax.device_put(new.astype(old.dtype), old.sharding)


def _measured(made: Binarizer, weight: jax.Array) -> nnx.State:
  """Initial variables of the binarizer of a weight."""
  # Training-only parameters are random, not measured.
  return nnx.state(Binarize(made, "weight", weight), nnx.Not(TrainingParam))
