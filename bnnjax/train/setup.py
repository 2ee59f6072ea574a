"""From a config to what a run needs: networks, stages, data, devices.

Everything is checked here, before anything is compiled or written.
"""

import dataclasses
import inspect
import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from etils import epath
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from bnnjax import cost, data, models
from bnnjax.core import registry
from bnnjax.core.progress import to_step
from bnnjax.train import config as config_lib
from bnnjax.train import optim, sharding
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
    ValueError: unknown model or argument, an impossible value, or a model of
      images for text, or the other way round.
  """
  settings = {**config.model.to_dict(), **dict(overrides)}
  fixed = {"num_classes": config.data.num_classes, **_inputs_of(config)}

  def build(rngs: nnx.Rngs) -> nnx.Module:
    return models.build(settings, rngs=rngs, **fixed)

  return Network.of(build)


def _inputs_of(config: ConfigDict) -> dict[str, Any]:
  """The arguments of the model that its inputs decide."""
  name, shape = config.model.name, tuple(config.data.shape)
  model = registry.get("model", name)
  takes = inspect.signature(model.__init__).parameters
  if config.data.vocab:
    if "vocab" not in takes:
      raise ValueError(
        f"The model {name!r} reads images, but the data are text (`data.vocab`"
        f" is {config.data.vocab}). Choose a model that takes `vocab`, e.g."
        " 'bert'."
      )
    longest = config.model.get("max_len", shape[0])
    if longest < shape[0]:
      raise ValueError(
        f"`model.max_len` is {longest}, but the texts have {shape[0]} tokens."
      )
    given = {} if "max_len" in config.model else {"max_len": longest}
    return {"vocab": config.data.vocab, **given}
  if "vocab" in takes and "image_shape" not in takes:
    raise ValueError(
      f"The model {name!r} reads text, but the data are images (`data.vocab` is"
      " 0). Set `data.vocab` and `data.shape` = (tokens,), or choose a model of"
      " images."
    )
  return {"image_shape": shape}


def cost_of(config: ConfigDict) -> Any:
  """Cost report of the deployed network, one example; needs no data."""
  overrides = config.stages[-1].get("model", {}) if config.stages else {}
  model = network_of(config, overrides).abstract
  forward = registry.get("task", config.task.name).forward
  if forward == "__call__":
    return cost.count(model, example_of(config))
  call = lambda model, x: getattr(model, forward)(x)  # noqa: E731
  return cost.count(call, model, example_of(config))


def example_of(config: ConfigDict) -> jax.ShapeDtypeStruct:
  """What a model reads of one example."""
  dtype = np.int32 if config.data.vocab else np.float32
  return jax.ShapeDtypeStruct((1, *config.data.shape), dtype)


def plan(config: ConfigDict, steps: int) -> list[Stage]:
  """The stages of a run, each with its network and optimizer.

  Raises:
    ValueError: the stages do not follow each other to the end of the run, or
      an optimizer that differs would go on with the moments of another.
  """
  entries = config.stages or ({"until": 1.0},)
  if not steps:  # nothing is trained: the last network, from the start
    network = network_of(config, entries[-1].get("model", {}))
    settings = config_lib.optim_of(config, entries[-1])
    optimizer = optim.make_optimizer(settings, 1, network.kinds)
    return [Stage(0, 0, network, optimizer, fresh=False)]
  stages, start, began = [], 0, 0
  before = None
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
    settings = config_lib.optim_of(config, entry)
    if start and settings != before and not restart:
      raise ValueError(
        f"The stage until {entry['until']} has another `optim` than the one"
        ' before it: give it `"restart": True`.'
      )
    optimizer = optim.make_optimizer(settings, span, network.kinds)
    stages.append(Stage(start, stop, network, optimizer, fresh))
    start, before = stop, settings
  if start != steps:
    raise ValueError(
      f"The last stage ends at step {start}, the run at {steps}: its `until`"
      " must be 1.0."
    )
  return stages


def load_teacher(
  config: ConfigDict, task: Any, stages: Sequence[Stage]
) -> tuple[Network, Any]:
  """Network and variables of a trained run that a student learns from.

  Raises:
    ValueError: no run there, or one of other inputs, vocabulary or classes, or
      with layers that the task cannot match.
  """
  workdir = task.teacher
  theirs = workdir_lib.read_config(workdir)
  for field in ("shape", "vocab", "num_classes"):
    mine, their = config.data[field], theirs.data[field]
    if np.ravel(mine).tolist() != np.ravel(their).tolist():
      raise ValueError(
        f"Teacher and student differ in `data.{field}`: {their} and {mine}."
      )
  check_vocabulary(config, theirs)
  network, state, _ = restore(theirs, workdir, "last")
  for stage in stages:
    student = stage.network.abstract
    task.check_teacher(student, network.abstract, example_of(config))
  variables = {k: state[k] for k in ("params", "rest")}
  _, whole = shardings(config)
  placed = {"params": sharding.of_params(network, whole.mesh), "rest": whole}
  return network, jax.device_put(variables, placed)


def check_vocabulary(config: ConfigDict, theirs: ConfigDict) -> None:
  """Refuses a run of texts whose tokens mean something else."""
  fields = ("tokenizer", "vocab_file")
  mine, their = (
    {f"options.{f}": c.data.options.get(f, "") for f in fields}
    for c in (config, theirs)
  )
  if "chars" in mine.values():  # those of the training text
    mine["name"], their["name"] = config.data.name, theirs.data.name
  for field in mine:
    if mine[field] != their[field]:
      raise ValueError(
        "Both runs must read the same vocabulary, a token means nothing without"
        f" it: `data.{field}` is {their[field]!r} there and {mine[field]!r}"
        " here."
      )


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
    ValueError: other shape, vocabulary or number of classes than configured.
    FileNotFoundError: the data set is not here; says how to get it.
  """
  settings, options = config.data, _options_of(config)
  sources = [
    data.load(settings.name, split, **options)
    for split in (settings.train_split, settings.eval_split)
  ]
  augments = (settings.augment, settings.eval_augment)
  for source, augment in zip(sources, augments):
    kind, vocab = source.info.kind, source.info.vocab
    if vocab != settings.vocab:
      has = f"has {vocab} entries" if vocab else "holds images (0)"
      raise ValueError(
        f"`data.vocab` is {settings.vocab}, but {settings.name!r} {has}."
      )
    shape = data.input_shape(source, augment)
    if tuple(shape) != tuple(settings.shape):
      raise ValueError(
        f"`data.shape` is {tuple(settings.shape)}, but {kind.plural} of"
        f" {settings.name!r} arrive as {tuple(shape)}"
        f" ({', '.join(kind.axes)})."
      )
    if source.info.num_classes != settings.num_classes:
      raise ValueError(
        f"`data.num_classes` is {settings.num_classes}, but {settings.name!r} has"
        f" {source.info.num_classes} classes."
      )
  return sources


def tokenizer_of(config: ConfigDict):
  """The tokenizer of a language model's data, to write and read its samples.

  Raises:
    ValueError: the data have none.
    FileNotFoundError: the data set is not here; says how to get it.
  """
  settings = config.data
  return data.tokenizer_of(
    settings.name, settings.eval_split, **_options_of(config)
  )


def _options_of(config: ConfigDict) -> dict[str, Any]:
  """The options of the source, with those that the config's shape decides."""
  name, shape = config.data.name, config.data.shape
  options = config.data.options.to_dict()
  if len(shape) == 1 and "max_len" in data.options_of(name):
    return {"max_len": shape[0], **options}
  return options


def make_eval_batches(config: ConfigDict, source):
  """Batches of the evaluation split."""
  return data.make_eval_batches(
    source,
    batch_size=config.data.eval_batch_size,
    augment=config.data.eval_augment,
    threads=config.data.threads,
  )


def shardings(config: ConfigDict) -> tuple[NamedSharding, NamedSharding]:
  """How batches are split, and what is whole on every device.

  Raises:
    ValueError: a mesh that does not fit the devices, or a batch that they
      cannot share equally.
  """
  mesh = sharding.make_mesh(**config.mesh.to_dict())
  devices = math.prod(mesh.shape[axis] for axis in sharding.BATCH)
  for field in ("batch_size", "eval_batch_size"):
    if config.data[field] % devices:
      raise ValueError(
        f"`data.{field}` must be a multiple of the {devices} devices that share"
        f" it, got {config.data[field]}."
      )
  batch = PartitionSpec(sharding.BATCH)
  return NamedSharding(mesh, batch), NamedSharding(mesh, PartitionSpec())
