"""`Binarize`, the module that owns the variables of a binarizer."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax import deprecated
from bnnjax.core import spec as spec_lib
from bnnjax.core.binarizer import Binarizer
from bnnjax.core.collector import Collector
from bnnjax.core.progress import Mode, Overheard, Progress
from bnnjax.core.quantized import Quantized
from bnnjax.layers import mode as mode_lib
from bnnjax.layers import partition
from bnnjax.layers.collection_point import CollectionPoint, Learned
from bnnjax.layers.variables import (
  BinarizerParam,
  BinarizerStat,
  TrainingParam,
  arrays_of,
)


def has_random_scale(made: Binarizer) -> bool:
  """Whether the scale of a binarizer starts at random numbers."""
  return made.scale is not None and made.scale.is_random(dict(made.scale_hp))


class Binarize(mode_lib.ModeAware, CollectionPoint):
  """A binarizer with its parameters and statistics; without one, the identity.

  Args:
    spec: spec string, `Binarizer`, or `None`.
    role: `"weight"` or `"act"`.
    like: the latent weight, or a `jax.ShapeDtypeStruct` for an activation.
    rngs: random numbers for parameters that need them; `params` is used.
    parallel: how the weight is sharded; its parameters follow it.
    **options: fields of the binarizer, see `bnnjax.core.spec.parse`.
  """

  def __init__(
    self,
    spec: "str | Binarizer | None",
    role: str,
    like: "jax.Array | jax.ShapeDtypeStruct",
    rngs: nnx.Rngs | None = None,
    *,
    parallel: str = "column",
    **options: Any,
  ):
    made = self.binarizer = spec_lib.parse(spec, role, **options)
    self.role = role
    params, stats, passing = {}, {}, frozenset()
    if made is not None:
      passing = made.training_only_names(like)
      random = made.estimator.init is not None or has_random_scale(made)
      key = rngs.params() if random and rngs is not None else None
      params, stats = made.init(like, key)
    kinds = {k: TrainingParam for k in passing}
    self.params = nnx.Dict(
      {
        k: kinds.get(k, BinarizerParam)(
          v, **partition.metadata(parallel, jnp.ndim(v))
        )
        for k, v in params.items()
      }
    )
    self.stats = nnx.Dict({k: BinarizerStat(v) for k, v in stats.items()})

  def __call__(
    self, x: jax.Array, mode: Mode | None = None, **of_term: Any
  ) -> "jax.Array | Quantized":
    """Quantizes `x`; in training, updates the statistics.

    Args:
      x: `[...]`.
      mode: training or deployment; by default as `train()` or `eval()` set it.
      **of_term: `mask` and `density` of a sparse term, see `Binarizer.apply`.
    """
    y, differs = self.quantize(x, mode, **of_term)
    if not differs:
      return y
    surrogate = mode_lib.warn_if_differentiated(differs, y.surrogate)
    return dataclasses.replace(y, surrogate=surrogate)

  def quantize(
    self, x: jax.Array, mode: Mode | None = None, **of_term: Any
  ) -> "tuple[jax.Array | Quantized, str]":
    """Like a call, but leaves the warning about gradients to the caller.

    Returns:
      The quantized `x`, and the name of what would compute differently in
      training, for `mode.warn_if_differentiated`. The name is empty in training
      and with an explicit mode.
    """
    self.observe(x)
    if self.binarizer is None:
      return x, ""
    told, mode = mode is None, self._mode(mode)
    params, stats = arrays_of(self.params), arrays_of(self.stats)
    if isinstance(self.collected, Learned):
      if not mode.train:
        raise ValueError(
          "A loop event learns in a training pass: give the mode that"
          f" `learning` yields, got {mode}."
        )
      params, stats, _ = self.collected.get_value()
    if told and mode.deployed:
      mode = Overheard()
      quantized, _ = self.binarizer.apply(x, params, stats, mode, **of_term)
      return quantized, self._name if mode.asked else ""
    quantized, stats = self.binarizer.apply(x, params, stats, mode, **of_term)
    if mode.train:
      self._store(stats, self.stats)
    return quantized, ""

  def _mode(self, given: Mode | None) -> Mode:
    """The mode; without a progress, schedules are at their end."""
    mode = mode_lib.mode_of(self, given)
    made = self.binarizer
    alone = given is None and mode.train and mode.progress is None
    if not alone or not made.annealed or made.start:
      return mode
    mode_lib.warn_without_progress(self._name)
    return dataclasses.replace(mode, progress=Progress.at(1, 1, 1.0))

  def transformed(self, x: jax.Array) -> jax.Array:
    """The transform of `x` in the deployed network."""
    params, stats = arrays_of(self.params), arrays_of(self.stats)
    return self.binarizer.transformed(x, params, stats)

  @property
  def _name(self) -> str:
    """The name of this binarizer in warnings."""
    made = self.binarizer
    return f"the {made.role} binarizer {made.estimator.name!r}"

  @property
  def events(self) -> tuple[str, ...]:
    """Names of the loop events that this binarizer needs."""
    if self.binarizer is None:
      return ()
    scale = self.binarizer.scale
    return (*(scale.events if scale else ()), *self.binarizer.data_events)

  def apply_event(self, name: str) -> None:
    """Updates the statistics at a loop event that needs no data."""
    scale = self.binarizer and self.binarizer.scale
    if scale and name in scale.events:
      self._store(scale.events[name](arrays_of(self.stats)), self.stats)

  on_event = deprecated.renamed("apply_event")

  def learner(self, event: str, progress: Progress | None) -> Learned | None:
    """A collector that learns at a loop event; `None` if nothing is learned."""
    made = self.binarizer
    if made is None or event not in made.data_events:
      return None

    def update(state, x):
      params, stats, progress = state
      mode = Mode.training(progress)
      return *made.apply_event(event, x, params, stats, mode), progress

    state = arrays_of(self.params), arrays_of(self.stats), progress
    return Learned(state, collector=Collector(event, lambda _: state, update))

  def store_learned(self) -> None:
    """Stores learned parameters; the pass has already stored the statistics."""
    self._store(self.collected.get_value()[0], self.params)

  @staticmethod
  def _store(values, variables):
    for key, value in values.items():
      # A value measured over a different number of axes has the same size.
      old = variables[key]
      same = jnp.size(value) == old[...].size
      old[...] = jnp.reshape(value, old.shape) if same else value


__getattr__ = deprecated.old_names(
  __name__,
  {
    "adopt": "bnnjax.layers.binarizer_state.copy_learned",
    "placed_like": "bnnjax.layers.binarizer_state.placed_like",
    "remeasure": "bnnjax.layers.binarizer_state.reinitialize_from_weights",
    "deployed_weight": "bnnjax.layers.deployed_weight.deployed_weight",
    **{
      name: f"bnnjax.layers.variables.{name}"
      for name in (
        "STACKED",
        "BinaryWeight",
        "LatentWeight",
        "TrainingRng",
        "weight_variable",
      )
    },
  },
)
