"""From a config to a network: built, checked for what is unused, counted."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from flax import nnx
from ml_collections import ConfigDict

from bnnjax import cost, models, tasks
from bnnjax.core import registry
from bnnjax.models import unused_options
from bnnjax.tasks import base
from bnnjax.tasks.base import Task
from bnnjax.train import config as config_lib
from bnnjax.train import optim
from bnnjax.train.state import Network


def network_of(config: ConfigDict, overrides: Any = ()) -> Network:
  """Structure of the model that a config asks for, nothing allocated.

  Raises:
    ValueError: unknown model or argument, an impossible value, or a model of
      images for text, or the other way round.
  """
  settings, build = _builder_of(config, overrides)
  return Network.of(lambda rngs: build(settings, rngs))


def _builder_of(
  config: ConfigDict, overrides: Any = ()
) -> tuple[dict[str, Any], unused_options.Build]:
  """Settings of the model, and what builds it of some and random numbers."""
  settings = {**config.model.to_dict(), **dict(overrides)}
  fixed = _arguments_of(config)

  def build(settings: Mapping[str, Any], rngs: nnx.Rngs) -> nnx.Module:
    return models.make(settings, rngs=rngs, **fixed)

  return settings, build


def check_used(
  config: ConfigDict, networks: Sequence[Network] = ()
) -> list[Network]:
  """Warns of binarizers, refuses options, that change nothing in any stage.

  Args:
    config: resolved.
    networks: of the stages, if they are made already.

  Returns:
    The networks of the stages.

  Raises:
    ValueError: an option that the model does not read beside the others, such
      as `head_size` of a Mamba of the first kind.
  """
  stages = [dict(stage) for stage in config.stages] or [{}]
  specs, idle, kinds, given, chosen = {}, [], set(), {}, {}
  made = []
  for number, stage in enumerate(stages):
    settings, build = _builder_of(config, stage.get("model", {}))
    if len(networks) == len(stages):
      network = networks[number]
    else:
      network = Network.of(functools.partial(build, settings))
    made.append(network)
    for name, used in unused_options.specs(settings, network.abstract).items():
      specs[name] = specs.get(name, False) or used
    idle.append(set(unused_options.options(settings, network.abstract, build)))
    kinds |= set(jax.tree.leaves(network.kinds))
    given |= settings
    chosen |= config_lib.optim_of(config, stage)
  for name in sorted(set.intersection(*idle)):
    raise ValueError(
      f"The model {config.model.name!r} does not read `model.{name}` as it is"
      f" set up, got {given[name]!r}: leave it out."
    )
  unused_options.warn(config.model.name, specs, given)
  optim.warn_unused(chosen, kinds)
  return made


def _arguments_of(config: ConfigDict) -> dict[str, Any]:
  """The arguments of the model that the data and the task decide.

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


def cost_of(config: ConfigDict, network: Network | None = None) -> Any:
  """Cost report of the deployed network, one example; needs no data.

  Of what the task calls the model with, see `Task.inputs` and `Task.forward`.

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
