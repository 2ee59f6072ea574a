"""Evaluation of the deployed network, during a run and of a stored one."""

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np
from etils import epath
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from bnnjax import tasks
from bnnjax.errors import UserError
from bnnjax.tasks import checks as task_checks
from bnnjax.tasks.base import Task
from bnnjax.train import (
  code,
  datasets,
  differences,
  identity,
  runs,
  sharding,
  step,
)
from bnnjax.train import workdir as workdir_lib

Batch = Mapping[str, np.ndarray]


def evaluate(workdir: epath.PathLike, kind: str = "last") -> dict[str, float]:
  """Evaluates the deployed network of a finished or running run.

  Args:
    workdir: of the run.
    kind: `"last"` or `"best"` checkpoint.

  Raises:
    UserError: no such checkpoint, it is damaged, or the data have changed.
  """
  config = workdir_lib.read_config(workdir)
  mesh = sharding.fitting_mesh(**config.mesh.to_dict())
  split = _batch_sharding(config, mesh)
  network, state, info = runs.restore(config, workdir, kind, mesh)
  task = tasks.build(config.task)
  train_source, source = datasets.load_data(config, task)
  theirs = info.get("identity", {}).get("data")
  if theirs:
    ours = identity.of_data(train_source, source)
    changed = differences.difference({"data": theirs}, {"data": ours})
    if changed:
      raise UserError(f"{workdir} cannot be evaluated: {changed}.")
  _warn_if_code_changed(workdir, config, info)
  whole = NamedSharding(mesh, PartitionSpec())
  eval_step = step.make_eval_step(network, task, whole)
  batches = datasets.make_eval_batches(config, source)
  return measure(eval_step, task, state, batches, split, whole)


def _warn_if_code_changed(workdir, config, info) -> None:
  theirs = {"code": info.get("identity", {}).get("code")}
  changed = differences.difference(theirs, {"code": code.of_config(config)})
  if changed:
    warnings.warn(
      f"{workdir}: {changed}. If the forward pass is another one, the metrics are"
      " not those of the network that was trained.",
      stacklevel=3,
    )


def measure(
  eval_step: Callable[..., Any],
  task: Task,
  state: Any,
  batches: Iterable[Batch],
  split: NamedSharding,
  whole: NamedSharding,
) -> dict[str, float]:
  """Metrics of one pass over a split: means, and what `task.reduce` gives.

  Args:
    eval_step: from `step.make_eval_step`.
    task: of the run.
    state: `params` and `rest`.
    batches: those that this process reads.
    split: how a batch is split over the devices.
    whole: how an array is replicated on them.

  Raises:
    UserError: a metric has two values, `task.headline` has none, or
      `task.reduce` does not return a dict of numbers.
  """
  metrics = jax.device_put(task.eval_metrics.empty(), whole)
  parts: dict[str, list[np.ndarray]] = {name: [] for name in task.gathered}
  for batch in batches:
    metrics, rows, mask = eval_step(state, metrics, put(batch, split))
    for name, part in parts.items():  # without parts nothing is waited for
      part.append(np.asarray(rows[name])[np.asarray(mask) > 0])
  got = metrics.compute()
  if parts:
    gathered = {name: np.concatenate(part) for name, part in parts.items()}
    reduced = task_checks.checked_reduced(task, task.reduce(gathered))
    if both := got.keys() & reduced.keys():
      raise UserError(
        f"`reduce` of {type(task).__name__} returns {', '.join(sorted(both))},"
        " which `eval_metrics` measures too: rename one."
      )
    got |= reduced
  if task.headline not in got:
    raise UserError(
      f"`headline` of {type(task).__name__} must be a metric of its evaluation"
      f" ({', '.join(got)}): got {task.headline!r}."
    )
  return {name: float(value) for name, value in got.items()}


def put(batch: Batch, split: NamedSharding) -> dict[str, jax.Array]:
  """A batch on the devices; each process gives the part that it has read."""
  return jax.tree.map(
    lambda x: jax.make_array_from_process_local_data(split, x), batch
  )


def _batch_sharding(config: ConfigDict, mesh: Mesh) -> NamedSharding:
  """How an evaluation batch is split over the devices that are here.

  Each device gets all of it if they cannot share it equally.

  Raises:
    UserError: several processes cannot share it.
  """
  size = config.data.eval_batch_size
  fits = size % math.prod(mesh.shape[axis] for axis in sharding.BATCH) == 0
  if not fits and jax.process_count() > 1:
    raise UserError(
      f"`data.eval_batch_size` must be a multiple of the {mesh.size} devices"
      f" that share it, got {size}."
    )
  spec = PartitionSpec(sharding.BATCH) if fits else PartitionSpec()
  return NamedSharding(mesh, spec)
