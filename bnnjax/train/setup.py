"""From a config to what a run needs: stages, teacher, variables, devices.

Everything is checked here, before anything is compiled or written. The networks
are made in `networks`.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from etils import epath
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from bnnjax.core import numbers
from bnnjax.core.progress import to_step
from bnnjax.errors import UserError
from bnnjax.tasks.base import Task
from bnnjax.train import config as config_lib
from bnnjax.train import ema, inputs, optim, sharding
from bnnjax.train import workdir as workdir_lib
from bnnjax.train.checkpoint import Checkpoints
from bnnjax.train.networks import check_used as check_used
from bnnjax.train.networks import cost_of as cost_of
from bnnjax.train.networks import inputs_of, network_of
from bnnjax.train.state import Network


@dataclasses.dataclass(frozen=True)
class Stage:
  """A part of the run with one network and one optimizer."""

  start: int
  stop: int
  network: Network
  optimizer: Any
  fresh: bool  # optimizer and schedule start anew
  rates: optim.Rates  # learning rates of a step of the run, see `optim.rates`
  accumulate: int = 1  # microbatches of a step
  average: ema.Average | None = None  # of the parameters


def plan(config: ConfigDict, steps: int) -> list[Stage]:
  """The stages of a run, each with its network and optimizer.

  Raises:
    ValueError: the stages do not follow each other to the end of the run, or
      an optimizer that differs in more than `bop` would go on with the moments
      of another.
  """
  entries = config.stages or ({"until": 1.0},)
  if steps > numbers.INT32:
    raise ValueError(
      f"The run has {steps:.3g} steps, of which {numbers.INT32} can be counted:"
      " lower `epochs`."
    )
  if not steps:  # nothing is trained: the last network, from the start
    network = network_of(config, entries[-1].get("model", {}))
    settings = config_lib.optim_of(config, entries[-1])
    settings |= {"warmup": 0, "decay_until": 1.0}
    optimizer = optim.make_optimizer(settings, 1, network.kinds)
    rates = optim.rates(settings, 1, network.kinds)
    return [Stage(0, 0, network, optimizer, fresh=False, rates=rates)]
  stages, start, began = [], 0, 0
  before = None
  networks = [network_of(config, entry.get("model", {})) for entry in entries]
  binary = any("binary" in jax.tree.leaves(n.kinds) for n in networks)
  for entry, network in zip(entries, networks):
    stop = to_step(entry["until"], steps)
    if stop <= start:
      raise ValueError(
        f"The `until` times of `stages` must increase: {entry['until']} is step"
        f" {stop}, the stage begins at {start}."
      )
    restart = bool(entry.get("restart", False))
    fresh = restart and start > 0
    began = start if fresh else began
    # A schedule that restarts spans its own stage, another the whole run.
    span = (stop if restart else steps) - began
    settings = config_lib.optim_of(config, entry)
    # Bop's average is the same thing under other numbers.
    if start and not restart and {**settings, "bop": before["bop"]} != before:
      raise ValueError(
        f"The stage until {entry['until']} has another `optim` than the one"
        ' before it: give it `"restart": True`.'
      )
    own = entry.get("optim", {}) if len(entries) > 1 else settings
    inherited = _names(settings) - _names(own)
    optimizer = optim.make_optimizer(
      settings,
      span,
      network.kinds,
      binary=binary,
      inherited=inherited,
    )
    rates = optim.rates(settings, span, network.kinds, began)
    decay = settings["ema"]
    average = ema.Average(decay, began) if decay else None
    stages.append(
      Stage(
        start,
        stop,
        network,
        optimizer,
        fresh,
        rates,
        settings["accumulate"],
        average,
      )
    )
    start, before = stop, settings
  if start != steps:
    raise ValueError(
      f"The last stage ends at step {start}, the run at {steps}: its `until`"
      " must be 1.0."
    )
  return stages


def _names(settings: Mapping[str, Any]) -> set[str]:
  """Names of the fields of `config.optim`, with those of its rule `bop`."""
  return {*settings, *(f"bop.{field}" for field in settings.get("bop", ()))}


def load_teacher(
  config: ConfigDict, task: Task, stages: Sequence[Stage], vocabulary: str = ""
) -> tuple[Network, Any]:
  """Network and variables of a trained run that a student learns from.

  Args:
    config: of the student.
    task: of the student.
    stages: of the student.
    vocabulary: digest of what its tokens mean, see `Source.vocabulary`.

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
  _, whole = shardings(config)
  network, state, info = restore(theirs, workdir, "last", whole.mesh)
  inputs.check_vocabulary(config, theirs, vocabulary, info)
  for stage in stages:
    student = stage.network.abstract
    if "vocab" in task.needs and student.vocab != network.abstract.vocab:
      raise ValueError(
        "Teacher and student differ in `model.vocab`:"
        f" {network.abstract.vocab} and {student.vocab}."
      )
    task.check_teacher(student, network.abstract, *inputs_of(config, task))
  return network, state


def stage_at(stages: Sequence[Stage], step: int) -> Stage:
  """The stage whose network a checkpoint of that step holds.

  Raises:
    UserError: the step is after the end of the run.
  """
  for stage in stages:
    if step <= stage.stop:
      return stage
  raise UserError(
    f"The checkpoint is of step {step}, after the end of the run"
    f" ({stages[-1].stop})."
  )


def restore(
  config: ConfigDict,
  workdir: epath.PathLike,
  kind: str,
  mesh: Mesh | None = None,
) -> tuple[Network, Any, dict[str, Any]]:
  """Network, its variables (`params` and `rest`), and info of a checkpoint.

  The parameters are the average of those of the steps where the run has one.

  Args:
    config: of the run, as in its workdir.
    workdir: of the run.
    kind: `"last"` or `"best"`.
    mesh: of devices that share the variables, see `sharding`; by default the
      run's, or where it does not fit the devices here, each has all of them.

  Raises:
    UserError: there is no such checkpoint, it is damaged, or the config beside
      it was changed.
  """
  checkpoints = Checkpoints(workdir, create=False)
  try:
    info = checkpoints.info(kind)
    made_by = workdir_lib.config_of(workdir, config, info)
    config = config_lib.resolve(workdir_lib.from_json(made_by))
    stage = stage_at(plan(config, info["steps"]), checkpoints.latest(kind))
    mesh = mesh or sharding.fitting_mesh(**config.mesh.to_dict())
    whole = sharding.abstract_state(stage.network, stage.optimizer, mesh)
    if stage.average:
      whole = ema.begin(stage.network, whole)
    chosen = (ema.PART if stage.average else "params", "rest")
    wanted = {k: whole[k] for k in chosen}
    state, info, _ = checkpoints.restore(kind, wanted, partial=True)
  finally:
    checkpoints.close()
  return stage.network, ema.deployed({**whole, **state}), info


def shardings(config: ConfigDict) -> tuple[NamedSharding, NamedSharding]:
  """How batches are split, and what is whole on every device.

  Raises:
    ValueError: a mesh that does not fit the devices, or a batch that they, and
      the microbatches of a step, cannot share equally.
  """
  mesh = sharding.make_mesh(**config.mesh.to_dict())
  devices = math.prod(mesh.shape[axis] for axis in sharding.BATCH)
  for field in ("batch_size", "eval_batch_size"):
    if config.data[field] % devices:
      raise ValueError(
        f"`data.{field}` must be a multiple of the {devices} devices that share"
        f" it, got {config.data[field]}."
      )
  for stage in config.stages or ({},):
    parts = config_lib.optim_of(config, stage)["accumulate"]
    if config.data.batch_size % (parts * devices):
      raise ValueError(
        "`data.batch_size` must be a multiple of `optim.accumulate` times the"
        f" devices that share it: got {config.data.batch_size} of {parts} x"
        f" {devices}."
      )
  if devices % jax.process_count():
    raise ValueError(
      f"`mesh` leaves {devices} share(s) of a batch for {jax.process_count()}"
      " processes, each of which reads its own: lower `mesh.tensor`."
    )
  batch = PartitionSpec(sharding.BATCH)
  return NamedSharding(mesh, batch), NamedSharding(mesh, PartitionSpec())
