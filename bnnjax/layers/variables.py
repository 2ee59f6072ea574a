"""Types of variables, by which optimizers, metrics, packing and cost choose.

Two kinds of metadata add to the types: `STACKED`, set by `layers.stack`, and
`decay=False` for a parameter without weight decay.
"""

import jax
from flax import nnx

from bnnjax.core.binarizer import Binarizer
from bnnjax.core.numerics import sign
from bnnjax.layers import partition

STACKED = "stacked"  # the first axis of a variable counts layers


class LatentWeight(nnx.Param):
  """The float weight behind a binary one, updated by the optimizer.

  The type selects optimizer, clipping, decay mask, flip ratio and packing.
  """


class BinaryWeight(LatentWeight):
  """A weight in {-1, +1} without a latent weight; Bop flips its signs."""


class BinarizerParam(nnx.Param):
  """A trained parameter of a binarizer: scale, threshold, bound."""


class TrainingParam(BinarizerParam):
  """A trained parameter that the deployed network does not have (FDA-BNN)."""

  deployed = False  # read by `cost`


class BinarizerStat(nnx.Variable):
  """A statistic of a binarizer: running bounds and the like."""

  statistic = True  # read by `cost`


class TrainingRng(nnx.Variable):
  """Key data of a layer that only draws in training; never updated."""

  deployed = False  # read by `cost`


def weight_variable(
  weight: jax.Array, made: Binarizer | None, parallel: str = "column"
) -> nnx.Param:
  """The weight as a variable of the type that its binarizer needs.

  Args:
    weight: `[..., before, after]`.
    made: the binarizer; `None` for a float weight.
    parallel: how devices shard it, see `bnnjax.layers.partition`.
  """
  names = partition.metadata(parallel, weight.ndim)
  if made is None or made.is_float:
    return nnx.Param(weight, **names)
  if made.latent:
    return LatentWeight(weight, **names)
  return BinaryWeight(sign(weight), **names)


def arrays_of(variables: nnx.Dict) -> dict[str, jax.Array]:
  """The arrays of the variables of a `nnx.Dict`, by name."""
  # `nnx.capture` adds an item of its own to every module.
  items = variables.items()
  return {k: v[...] for k, v in items if isinstance(v, nnx.Variable)}
