"""Dropout that follows the mode, with a mask of its own each step."""

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core.numbers import is_number
from bnnjax.core.progress import Mode
from bnnjax.layers.mode import ModeAware, key_of_step, mode_of, watched
from bnnjax.layers.variables import TrainingRng


class Dropout(ModeAware):
  """`x m / (1 - rate)` with `m ~ Bernoulli(1 - rate)` an element, in training.

  Dropout, Srivastava et al., JMLR 2014, with the rescaling in training; deployed
  the identity. The mask follows from the layer (also of a `Stack`), the step and
  the microbatch, so that a run that was killed goes on as if it had not been, and
  a layer that is computed again has its mask again.

  In front of a binarizer to {-1, +1} a dropped 0 becomes +1, which is why our
  transformers do not drop features inside an MLP.

  Args:
    rate: share of the elements that become 0; 0: the identity, which draws and
      stores nothing.
    rngs: random numbers; `params` is used, where `rate` is not 0.

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
      return watched("dropout", x) if given is None else x
    key = key_of_step(self.key, mode, "dropout")
    keep = jax.random.bernoulli(key, 1 - self.rate, x.shape)
    return jnp.where(keep, x / (1 - self.rate), 0)
