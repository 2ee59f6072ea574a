"""The trained scale."""

import jax
import jax.numpy as jnp

from bnnjax.core.hyper import FACTOR, Choice, Either
from bnnjax.core.scale import Measured, magnitude, scale

_KEPT = {"tensor": (), "channel": (-1,), "input": (-2,)}


def _learned_init(x, *, axes="channel", init="l1", key=None):
  kept, abstract = _KEPT, isinstance(x, jax.ShapeDtypeStruct)
  if abstract and axes == "input":
    raise ValueError(
      "The inputs of an activation are its last axis: `learned(axes='channel')`."
    )
  over = tuple(
    i for i in range(len(x.shape)) if i - len(x.shape) not in kept[axes]
  )
  shape = tuple(1 if i in over else n for i, n in enumerate(x.shape))
  if init == "uniform":
    return {"scale": jax.random.uniform(key, shape, jnp.float32)}, {}
  if isinstance(init, (int, float)):
    return {"scale": jnp.full(shape, init, jnp.float32)}, {}
  if abstract:
    raise ValueError(
      "The scale of an activation has no tensor to start from: give a number,"
      " e.g. `learned(init=1.0)`."
    )
  return {"scale": magnitude(x, init, over, False)}, {}


def _learned_draws(*, axes="channel", init="l1"):
  del axes
  return init == "uniform"


@scale(init=_learned_init, draws=_learned_draws, gradient="full")
def learned(
  x,
  params,
  stats,
  mode,
  *,
  axes: Choice(tuple(_KEPT)) = "channel",
  init: Either(FACTOR, Choice(("l1", "max", "uniform"))) = "l1",
):
  """A trained scale: `y = s sign(x)`; the gradient of `x` is multiplied by `s`.

  Args:
    axes: `"tensor"`, `"channel"` (last axis) or `"input"` (last but one).
    init: a number, `"l1"` / `"max"` of the weights at the start, or random
      numbers of `"uniform"`, U[0, 1) (ReCU and BiPer).
  """
  del x, mode, axes, init
  return Measured(params["scale"], stats)
