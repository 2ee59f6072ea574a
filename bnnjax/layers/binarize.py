"""Variable types, and the module that owns a binarizer's variables."""

from typing import Any

import jax
from flax import nnx

from bnnjax.core import binarizer as binarizer_lib
from bnnjax.core.binarizer import Binarizer
from bnnjax.core.progress import DEPLOYED, Mode
from bnnjax.core.quantized import Quantized


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


class BinarizerStat(nnx.Variable):
  """A statistic of a binarizer: running bounds and the like."""


class GradientRng(nnx.Variable):
  """Key data of a layer's gradient quantizer; training only, never updated."""


class Binarize(nnx.Module):
  """A binarizer with its parameters and statistics; without one, the identity.

  Args:
    spec: spec string, `Binarizer`, or `None`.
    role: `"weight"` or `"act"`.
    like: the latent weight, or a `jax.ShapeDtypeStruct` for an activation.
    rngs: for parameters that start at random; `params` is used, only then.
    **options: fields of the binarizer, see `bnnjax.core.binarizer.parse`.
  """

  def __init__(
    self,
    spec: "str | Binarizer | None",
    role: str,
    like: "jax.Array | jax.ShapeDtypeStruct",
    rngs: nnx.Rngs | None = None,
    **options: Any,
  ):
    made = self.binarizer = binarizer_lib.parse(spec, role, **options)
    params, stats, passing = {}, {}, frozenset()
    if made is not None:
      passing = made.passing(like)
      random = made.estimator.init is not None and rngs is not None
      params, stats = made.init(like, rngs.params() if random else None)
    kinds = {k: TrainingParam for k in passing}
    self.params = nnx.Dict(
      {k: kinds.get(k, BinarizerParam)(v) for k, v in params.items()}
    )
    self.stats = nnx.Dict({k: BinarizerStat(v) for k, v in stats.items()})

  def __call__(
    self, x: jax.Array, mode: Mode = DEPLOYED
  ) -> "jax.Array | Quantized":
    """Quantizes `x`; in training, updates the statistics."""
    if self.binarizer is None:
      return x
    params = {k: v[...] for k, v in self.params.items()}
    stats = {k: v[...] for k, v in self.stats.items()}
    quantized, stats = self.binarizer.apply(x, params, stats, mode)
    if mode.train:
      self._store(stats)
    return quantized

  @property
  def events(self) -> tuple[str, ...]:
    """Names of the loop events that this binarizer cannot do without."""
    if self.binarizer is None or self.binarizer.scale is None:
      return ()
    return tuple(self.binarizer.scale.events)

  def on_event(self, name: str) -> None:
    """Lets the statistics take part in a loop event."""
    if name in self.events:
      stats = {k: v[...] for k, v in self.stats.items()}
      self._store(self.binarizer.scale.events[name](stats))

  def _store(self, stats):
    for key, value in stats.items():
      self.stats[key][...] = value
