"""Networks: the structure of a model, built from a config, checked, counted."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from flax import nnx
from ml_collections import ConfigDict

from bnnjax import cost, models, tasks
from bnnjax.core import registry
from bnnjax.layers.binarize import (
  STACKED,
  BinarizerParam,
  BinaryWeight,
  LatentWeight,
)
from bnnjax.models import unused
from bnnjax.tasks import base
from bnnjax.tasks.base import Task
from bnnjax.train import config as config_lib
from bnnjax.train import optim

KINDS = (
  (BinaryWeight, "binary"),
  (LatentWeight, "latent"),
  (BinarizerParam, "binarizer"),
  (nnx.Param, "float"),
)


@dataclasses.dataclass(frozen=True)
class Network:
  """A model's structure without its arrays.

  Attributes:
    graphdef: what `nnx.split` gives.
    kinds: tree like the parameters: `"latent"`, `"binary"` (weights without a
      latent one), `"binarizer"` (scales, thresholds), `"float"`, or
      `"undecayed"` for a float one that weight decay must leave alone.
    abstract: the module with shapes in place of arrays.
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
    if models.draws(abstract):  # dropout needs a real stream of random numbers
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

  def merge(self, state: Mapping[str, Any]) -> nnx.Module:
    """The module with the arrays of `state`, see `bnnjax.train.state`."""
    return nnx.merge(self.graphdef, state["params"], state["rest"])


def _kind(variable: nnx.Variable) -> str:
  """The label by which optimizers and metrics choose."""
  kind = next(name for type_, name in KINDS if isinstance(variable, type_))
  vectors = variable.get_metadata(STACKED, False) and len(variable.shape) < 3
  decay = variable.get_metadata("decay", True) and not vectors
  return kind if decay or kind != "float" else "undecayed"


def network_of(config: ConfigDict, overrides: Any = ()) -> Network:
  """The network that a config asks for; nothing is allocated.

  Args:
    config: resolved.
    overrides: fields of `config.model` that differ in a stage.

  Raises:
    ValueError: unknown model or argument, an impossible value, or a model of
      images for text, or the other way round.
  """
  settings, build = _builder_of(config, overrides)
  return Network.of(functools.partial(build, settings))


def _builder_of(
  config: ConfigDict, overrides: Any = ()
) -> tuple[dict[str, Any], unused.Build]:
  """Settings of the model, and what builds it from settings and `nnx.Rngs`."""
  settings = {**config.model.to_dict(), **dict(overrides)}
  fixed = _fixed_arguments(config)

  def build(settings: Mapping[str, Any], rngs: nnx.Rngs) -> nnx.Module:
    return models.make(settings, rngs=rngs, **fixed)

  return settings, build


def _fixed_arguments(config: ConfigDict) -> dict[str, Any]:
  """The arguments of the model that data and task decide.

  Raises:
    ValueError: a model of images for text, or the other way round.
  """
  name, info = config.model.name, config_lib.info_of(config)
  takes = registry.accepts("model", name)
  if info.vocab and "vocab" not in takes:
    raise ValueError(
      f"The model {name!r} reads images, but the data are text (`data.vocab`"
      f" is {info.vocab}). Choose a model that takes `vocab`, e.g. 'bert'."
    )
  if not info.vocab and "vocab" in takes and "image_shape" not in takes:
    raise ValueError(
      f"The model {name!r} reads text, but the data are images (`data.vocab` is"
      " 0). Set `data.vocab` and `data.shape` = (tokens,), or choose a model of"
      " images."
    )
  task = tasks.build(config.task)
  return task.model_arguments(info, config.model.to_dict())


def check_used(
  config: ConfigDict, networks: Sequence[Network] = ()
) -> list[Network]:
  """Warns about binarizers that no layer of any stage uses.

  Args:
    config: resolved.
    networks: of the stages, if they are made already.

  Returns:
    The networks of the stages.

  Raises:
    ValueError: an option that the model does not read beside the others, such
      as `head_size` of a Mamba-1.
  """
  stages = [dict(stage) for stage in config.stages] or [{}]
  if len(networks) != len(stages):  # a run of no step has only the last
    networks = [network_of(config, s.get("model", {})) for s in stages]
  specs, idle, kinds, given, chosen = {}, [], set(), {}, {}
  for stage, network in zip(stages, networks):
    settings, build = _builder_of(config, stage.get("model", {}))
    for name, used in unused.specs(settings, network.abstract).items():
      specs[name] = specs.get(name, False) or used
    idle.append(set(unused.options(settings, network.abstract, build)))
    kinds |= set(jax.tree.leaves(network.kinds))
    given |= settings
    chosen |= config_lib.optim_of(config, stage)
  for name in sorted(set.intersection(*idle)):
    raise ValueError(
      f"The model {config.model.name!r} does not read `model.{name}` as it is"
      f" set up, got {given[name]!r}: leave it out."
    )
  unused.warn(config.model.name, specs, given)
  optim.warn_unused(chosen, kinds)
  return list(networks)


def cost_of(config: ConfigDict, network: Network | None = None) -> Any:
  """Cost report of the deployed network for one example; needs no data.

  Counts what the task calls the model with, see `Task.inputs` and
  `Task.forward`.

  Args:
    config: resolved.
    network: the deployed one, if it is made already.
  """
  overrides = config.stages[-1].get("model", {}) if config.stages else {}
  model = (network or network_of(config, overrides)).abstract
  task = tasks.build(config.task)

  def forward(model, *inputs):
    return task.forward(model, *inputs)

  forward.__qualname__ = type(model).__name__  # in tables and messages
  return cost.count(forward, model, *inputs_of(config, task))


def inputs_of(config: ConfigDict, task: Task) -> tuple[Any, ...]:
  """Shapes of what the task calls a model with, for one example."""
  return base.input_shapes(task, config_lib.info_of(config))
