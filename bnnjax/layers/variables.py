"""Types of variables: what optimizers, metrics, packing and cost choose by.

Two marks say what a type does not: `STACKED`, set by `layers.stack`, and
`decay=False`, for a parameter of any shape that takes no weight decay.
"""

import jax
from flax import nnx

from bnnjax.core.binarizer import Binarizer
from bnnjax.core.estimator import sign
from bnnjax.layers import partition

STACKED = "stacked"  # the first axis of a variable counts layers


class LatentWeight(nnx.Param):
  """The float weight behind a binary one: what the optimizer updates.

  The type selects optimizer, clipping, decay mask, flip ratio and packing.
  """


class BinaryWeight(LatentWeight):
  """A weight in {-1, +1} without a latent one; the optimizer Bop flips it."""


class BinarizerParam(nnx.Param):
  """A trained parameter of a binarizer: scale, threshold, bound."""


class TrainingParam(BinarizerParam):
  """A trained parameter that the deployed network does not have (FDA-BNN)."""

  deployed = False  # what `cost` asks


class BinarizerStat(nnx.Variable):
  """A statistic of a binarizer: running bounds and the like."""

  statistic = True  # what `cost` asks


class TrainingRng(nnx.Variable):
  """Key data of what a layer draws in training only; never updated."""

  deployed = False  # what `cost` asks


def weight_variable(
  weight: jax.Array, made: Binarizer | None, parallel: str = "column"
) -> nnx.Param:
  """The weight as the type of variable that its binarizer asks for.

  Args:
    weight: `[..., before, after]`.
    made: the binarizer; `None` for a float weight.
    parallel: how devices share it, see `bnnjax.layers.partition`.
  """
  names = partition.metadata(parallel, weight.ndim)
  if made is None or made.is_float:
    return nnx.Param(weight, **names)
  if made.latent:
    return LatentWeight(weight, **names)
  return BinaryWeight(sign(weight), **names)


def arrays_of(variables: nnx.Dict) -> dict[str, jax.Array]:
  """The arrays of the variables of a `nnx.Dict`, by name."""
  # `nnx.capture` leaves an item of its own in every module.
  items = variables.items()
  return {k: v[...] for k, v in items if isinstance(v, nnx.Variable)}
