"""From a config to what a run needs: networks, stages, data, devices.

Everything is checked here, before anything is compiled or written.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from etils import epath
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from bnnjax import cost, data, models
from bnnjax.core.progress import to_step
from bnnjax.train import optim
from bnnjax.train import workdir as workdir_lib
from bnnjax.train.checkpoint import Checkpoints
from bnnjax.train.state import Network, State, make_state


@dataclasses.dataclass(frozen=True)
class Stage:
  """A part of the run with one network and one optimizer."""

  start: int
  stop: int
  network: Network
  optimizer: Any
  fresh: bool  # optimizer and schedule start anew


def network_of(config: ConfigDict, overrides: Any = ()) -> Network:
  """Structure of the model that a config asks for, nothing allocated.

  Raises:
    ValueError: unknown model or argument, or an impossible value.
  """
  settings = {**config.model.to_dict(), **dict(overrides)}

  def build(rngs: nnx.Rngs) -> nnx.Module:
    return models.build(
      settings,
      rngs=rngs,
      num_classes=config.data.num_classes,
      image_shape=tuple(config.data.shape),
    )

  return Network.of(build)


def cost_of(config: ConfigDict) -> Any:
  """Cost report of the deployed network, one example; needs no data."""
  overrides = config.stages[-1].get("model", {}) if config.stages else {}
  image = jax.ShapeDtypeStruct((1, *config.data.shape), np.float32)
  return cost.count(network_of(config, overrides).abstract, image)


def plan(config: ConfigDict, steps: int) -> list[Stage]:
  """The stages of a run, each with its network and optimizer.

  Raises:
    ValueError: the stages do not follow each other to the end of the run.
  """
  entries = config.stages or ({"until": 1.0},)
  stages, start, began = [], 0, 0
  for entry in entries:
    stop = to_step(entry["until"], steps)
    if stop <= start:
      raise ValueError(
        f"The `until` times of `stages` must increase: {entry['until']} is step"
        f" {stop}, the stage begins at {start}."
      )
    restart = bool(entry.get("restart", False))
    fresh = restart and start > 0
    began = start if fresh else began
    network = network_of(config, entry.get("model", {}))
    # A schedule that restarts spans its own stage, another the whole run.
    span = (stop if restart else steps) - began
    optimizer = optim.make_optimizer(
      config.optim.to_dict(), span, network.kinds
    )
    stages.append(Stage(start, stop, network, optimizer, fresh))
    start = stop
  if start != steps:
    raise ValueError(
      f"The last stage ends at step {start}, the run at {steps}: its `until`"
      " must be 1.0."
    )
  return stages


def load_teacher(config: ConfigDict, workdir: str) -> tuple[Network, Any]:
  """Network and variables of a trained run that a student learns from.

  Raises:
    ValueError: no run there, or one of other images or classes.
  """
  theirs = workdir_lib.read_config(workdir)
  for field in ("shape", "num_classes"):
    mine, their = config.data[field], theirs.data[field]
    if np.ravel(mine).tolist() != np.ravel(their).tolist():
      raise ValueError(
        f"Teacher and student differ in `data.{field}`: {their} and {mine}."
      )
  network, state, _ = restore(theirs, workdir, "last")
  variables = {k: state[k] for k in ("params", "rest")}
  _, replicated = shardings(config.data)
  return network, jax.device_put(variables, replicated)


def stage_at(stages: Sequence[Stage], step: int) -> Stage:
  """The stage whose network a checkpoint of that step holds."""
  return next(s for s in stages if step <= s.stop)


def restore(
  config: ConfigDict, workdir: epath.PathLike, kind: str
) -> tuple[Network, State, dict[str, Any]]:
  """Network, state and info of a checkpoint.

  Raises:
    ValueError: there is no such checkpoint.
  """
  checkpoints = Checkpoints(workdir, create=False)
  try:
    info = checkpoints.info(kind)
    stage = stage_at(plan(config, info["steps"]), checkpoints.latest(kind))
    state, info = checkpoints.restore(
      kind, make_state(stage.network, stage.optimizer, config.seed)
    )
  finally:
    checkpoints.close()
  return stage.network, state, info


def load_data(config: ConfigDict):
  """Training and evaluation source, checked against the config's shapes.

  Raises:
    ValueError: other image shape or number of classes than configured.
    FileNotFoundError: the data set is not here; says how to get it.
  """
  settings = config.data
  sources = [
    data.load(settings.name, split, **settings.options.to_dict())
    for split in (settings.train_split, settings.eval_split)
  ]
  augments = (settings.augment, settings.eval_augment)
  for source, augment in zip(sources, augments):
    shape = data.image_shape(source, augment)
    if tuple(shape) != tuple(settings.shape):
      raise ValueError(
        f"`data.shape` is {tuple(settings.shape)}, but images of"
        f" {settings.name!r} arrive as {tuple(shape)} (height, width, channels)."
      )
    if source.info.num_classes != settings.num_classes:
      raise ValueError(
        f"`data.num_classes` is {settings.num_classes}, but {settings.name!r} has"
        f" {source.info.num_classes} classes."
      )
  return sources


def make_eval_batches(config: ConfigDict, source):
  """Batches of the evaluation split."""
  return data.make_eval_batches(
    source,
    batch_size=config.data.eval_batch_size,
    augment=config.data.eval_augment,
    threads=config.data.threads,
  )


def shardings(settings: ConfigDict) -> tuple[NamedSharding, NamedSharding]:
  """Batches split over all devices, state on each of them.

  Raises:
    ValueError: a batch that the devices cannot share equally.
  """
  devices = jax.device_count()
  for field in ("batch_size", "eval_batch_size"):
    if settings[field] % devices:
      raise ValueError(
        f"`data.{field}` must be a multiple of the {devices} devices, got"
        f" {settings[field]}."
      )
  # Auto: the compiler shards; layers need not say how.
  mesh = jax.make_mesh((devices,), ("data",), axis_types=(AxisType.Auto,))
  return (
    NamedSharding(mesh, PartitionSpec("data")),
    NamedSharding(mesh, PartitionSpec()),
  )
