"""Dropout that follows the mode; its masks depend on layer and step alone."""

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core.number_checks import is_number
from bnnjax.core.progress import Mode
from bnnjax.layers.mode import (
  ModeAware,
  mode_of,
  step_key,
  warn_if_differentiated,
)
from bnnjax.layers.variables import TrainingRng


class Dropout(ModeAware):
  """`x m / (1 - rate)`, `m ~ Bernoulli(1 - rate)` per element, in training.

  Dropout, Srivastava et al., JMLR 2014, rescaled in training; the identity when
  deployed. The mask depends on the layer (also within a `Stack`), the step and
  the microbatch alone: a resumed run draws the same masks, and so does a layer
  that is recomputed in the backward pass.

  A binarizer to {-1, +1} turns a dropped 0 into +1, which is why our
  transformers do not drop features inside an MLP.

  Args:
    rate: share of the elements that become 0. With 0 the layer is the identity
      and stores nothing.
    rngs: random numbers; `params` is used unless `rate` is 0.

  Raises:
    ValueError: a rate outside [0, 1).
  """

  def __init__(self, rate: float, *, rngs: nnx.Rngs):
    if not is_number(rate) or not 0 <= rate < 1:
      raise ValueError(f"`dropout` must be in [0, 1), got {rate!r}.")
    self.rate = float(rate)
    if rate:
      self.key = TrainingRng(jax.random.key_data(rngs.params()))

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[...] -> [...]`."""
    if not self.rate:
      return x
    given, mode = mode, mode_of(self, mode)
    if not mode.train:
      return warn_if_differentiated("dropout", x) if given is None else x
    key = step_key(self.key, mode, "dropout")
    keep = jax.random.bernoulli(key, 1 - self.rate, x.shape)
    return jnp.where(keep, x / (1 - self.rate), 0)
