"""The module that owns a binarizer's variables."""

import dataclasses
import functools
from collections.abc import Container
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax import deprecated
from bnnjax.core import spec as spec_lib
from bnnjax.core.binarizer import Binarizer
from bnnjax.core.collector import Collector
from bnnjax.core.progress import DEPLOYED, Mode, Overheard, Progress
from bnnjax.core.quantized import Quantized, Term
from bnnjax.layers import mode as mode_lib
from bnnjax.layers import partition
from bnnjax.layers.place import Learned, Place
from bnnjax.layers.variables import (  # noqa: F401 (also read from here)
  STACKED,
  BinarizerParam,
  BinarizerStat,
  BinaryWeight,
  LatentWeight,
  TrainingParam,
  TrainingRng,
  weight_variable,
)


class Binarize(mode_lib.Moded, Place):
  """A binarizer with its parameters and statistics; without one, the identity.

  Args:
    spec: spec string, `Binarizer`, or `None`.
    role: `"weight"` or `"act"`.
    like: the latent weight, or a `jax.ShapeDtypeStruct` for an activation.
    rngs: for parameters that start at random; `params` is used, only then.
    parallel: of the weight; its parameters are shared like it.
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
      random = made.estimator.init is not None and rngs is not None
      params, stats = made.init(like, rngs.params() if random else None)
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
      mode: on whose behalf.
      **of_term: `mask` and `density` of a sparse term, see `Binarizer.apply`.
    """
    y, otherwise = self.heard(x, mode, **of_term)
    if not otherwise:
      return y
    surrogate = mode_lib.watched(otherwise, y.surrogate)
    return dataclasses.replace(y, surrogate=surrogate)

  def heard(
    self, x: jax.Array, mode: Mode | None = None, **of_term: Any
  ) -> "tuple[jax.Array | Quantized, str]":
    """The same, and what would compute otherwise in training.

    A name for `mode.watched`; empty in training, and with an explicit mode.
    """
    self.show(x)
    if self.binarizer is None:
      return x, ""
    told, mode = mode is None, self._mode(mode)
    params, stats = _arrays(self.params), _arrays(self.stats)
    if isinstance(self.collected, Learned):
      if not mode.train:
        raise ValueError(
          "Loop events learn in a training pass: give the mode that `learning`"
          f" yields, got {mode}."
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
    """What was told; without a progress, schedules stand at their end."""
    mode = mode_lib.mode_of(self, given)
    made = self.binarizer
    alone = given is None and mode.train and mode.progress is None
    if not alone or not made.annealed or made.start:
      return mode
    mode_lib.without_progress(self._name)
    return dataclasses.replace(mode, progress=Progress.at(1, 1, 1.0))

  def transformed(self, x: jax.Array) -> jax.Array:
    """What the transform makes of `x` in the deployed network."""
    params, stats = _arrays(self.params), _arrays(self.stats)
    return self.binarizer.transformed(x, params, stats)

  @property
  def _name(self) -> str:
    """What warnings call it."""
    made = self.binarizer
    return f"the {made.role} binarizer {made.estimator.name!r}"

  @property
  def events(self) -> tuple[str, ...]:
    """Names of the loop events that this binarizer cannot do without."""
    if self.binarizer is None:
      return ()
    scale = self.binarizer.scale
    return (*(scale.events if scale else ()), *self.binarizer.data_events)

  def apply_event(self, name: str) -> None:
    """Lets the statistics take part in a loop event that needs no data."""
    scale = self.binarizer and self.binarizer.scale
    if scale and name in scale.events:
      self._store(scale.events[name](_arrays(self.stats)), self.stats)

  on_event = deprecated.renamed("apply_event")

  def learner(self, event: str, progress: Progress | None) -> Learned | None:
    """A collector of what is learned at a loop event; `None` if nothing is."""
    made = self.binarizer
    if made is None or event not in made.data_events:
      return None

    def update(state, x):
      params, stats, progress = state
      mode = Mode.training(progress)
      return *made.apply_event(event, x, params, stats, mode), progress

    state = _arrays(self.params), _arrays(self.stats), progress
    return Learned(state, collector=Collector(event, lambda _: state, update))

  def adopt_learned(self) -> None:
    """Stores the parameters; the pass itself has stored the statistics."""
    self._store(self.collected.get_value()[0], self.params)

  @staticmethod
  def _store(values, variables):
    for key, value in values.items():
      # What was measured along another number of axes has as many elements.
      old = variables[key]
      same = jnp.size(value) == old[...].size
      old[...] = jnp.reshape(value, old.shape) if same else value


def deployed_weight(layer: nnx.Module) -> Quantized:
  """The weight of a layer as the deployed network holds it.

  Its low-bit values are what is packed. They are not the signs of the kernel
  wherever a transform or another map than the sign makes them.

  Args:
    layer: a `Linear`, `Conv` or embedding; one of a stack has `[layers, ...]`.

  Returns:
    The terms, values and scales; a float weight is one term without a `kind`.

  Raises:
    TypeError: a module of another kind.

  Example:
    >>> layer = Linear(2, 1, weight="center > ste", rngs=rngs)
    >>> layer.kernel[...] = jnp.array([[1.0], [2.0]])
    >>> deployed_weight(layer).terms[0].value.ravel()
    [-1.  1.]
  """
  weight = getattr(layer, "kernel", getattr(layer, "table", None))
  own = getattr(layer, "weight", None)
  if weight is None and isinstance(own, nnx.Module):
    return _yielded(own, layer)
  if not isinstance(own, Binarize) or not isinstance(weight, nnx.Variable):
    raise TypeError(
      "`deployed_weight` takes a layer with a weight, such as Linear or Conv,"
      f" got {type(layer).__name__}."
    )
  values = weight[...].astype(layer.dtype or weight.dtype)
  if own.binarizer is None:
    return Quantized((Term(values),))

  def apply(values, params, stats):
    got, _ = own.binarizer.apply(values, params, stats, DEPLOYED)
    return dataclasses.replace(got, surrogate=None)

  if weight.get_metadata(STACKED, False):
    apply = jax.vmap(apply)
  return apply(values, _arrays(own.params), _arrays(own.stats))


def _yielded(weight: nnx.Module, layer: nnx.Module) -> Quantized:
  """What a module that is a layer's weight yields when it is deployed."""
  graph, state = nnx.split(weight)

  def call(state):
    got = nnx.merge(graph, state)(DEPLOYED)
    got = got.astype(layer.dtype or got.dtype)
    return dataclasses.replace(got, surrogate=None)

  variables = jax.tree.leaves(
    state, is_leaf=lambda v: isinstance(v, nnx.Variable)
  )
  stacked = any(v.get_metadata(STACKED, False) for v in variables)
  return jax.vmap(call)(state) if stacked else call(state)


def remeasure(model: nnx.Module, layers: Container[str]) -> None:
  """Lets what weight binarizers measured at the start follow the weights.

  A learned scale starts at the mean magnitude of a random kernel; when the
  kernel is replaced, the scale has to start again. In place.

  Args:
    model: any module.
    layers: dotted paths of the layers whose weights were replaced.
  """
  for path, layer in nnx.iter_modules(model):
    old = getattr(layer, "weight", None)
    if not isinstance(old, Binarize) or not _arrays(old.params):
      continue
    if ".".join(map(str, path)) in layers:
      weights = vars(layer).values()
      (weight,) = (w for w in weights if isinstance(w, LatentWeight))
      measure = functools.partial(_measured, old.binarizer)
      if weight.get_metadata(STACKED, False):
        measure = jax.vmap(measure)
      nnx.update(old, measure(weight[...]))


def adopt(model: nnx.Module, source: nnx.Module) -> None:
  """Copies what the binarizers of another model have learned.

  In place, and only where both have the same binarizer of the same shapes at
  the same path.
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
  """Variables of a binarizer that starts from a weight."""
  # Those of the training alone are drawn, not measured.
  return nnx.state(Binarize(made, "weight", weight), nnx.Not(TrainingParam))


def _arrays(variables: nnx.Dict) -> dict[str, jax.Array]:
  # `nnx.capture` leaves an item of its own in every module.
  items = variables.items()
  return {k: v[...] for k, v in items if isinstance(v, nnx.Variable)}
