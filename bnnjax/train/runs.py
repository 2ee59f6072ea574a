"""Runs that are stored in a workdir: their network, from Python, as a teacher."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath
from flax import nnx
from jax.sharding import Mesh
from ml_collections import ConfigDict

from bnnjax import plugin_files
from bnnjax.core import registry
from bnnjax.train import config_file, datasets, ema, sharding, stages
from bnnjax.train import workdir as workdir_lib
from bnnjax.train.checkpoint import KINDS, Checkpoints
from bnnjax.train.networks import Network
from bnnjax.train.plan import Plan


def load(
  workdir: epath.PathLike, kind: str = "last", *, files: Sequence[str] = ()
) -> tuple[nnx.Module, ConfigDict]:
  """The model of a run, ready to be called, and the run's config.

  It is the deployed network that `bnnjax eval` evaluates; `model.train()`
  makes it one to train.

  Args:
    workdir: of a finished or running run.
    kind: `"last"` or `"best"` checkpoint.
    files: Python files that register names, run first; by default those that
      the run was trained with (`--load`).

  Raises:
    UserError: no run there, no such checkpoint, it is damaged, or its config
      was changed.

  Example:
    >>> model, config = bx.load("runs/fashion_mnist_resnet")
    >>> logits = model(images)
  """
  if kind not in KINDS:
    raise registry.unknown("checkpoint", kind, KINDS)
  for file in files or plugin_files.remembered(workdir):
    config_file.run(file)
  config = workdir_lib.read_config(workdir)
  network, state, _ = restore(config, workdir, kind)
  return network.merge(state), config


def restore(
  config: ConfigDict,
  workdir: epath.PathLike,
  kind: str,
  mesh: Mesh | None = None,
) -> tuple[Network, Any, dict[str, Any]]:
  """Network, its variables (`params` and `rest`), and info of a checkpoint.

  The parameters are averaged over the steps if the run averages them.

  Args:
    config: of the run, as in its workdir.
    workdir: of the run.
    kind: `"last"` or `"best"`.
    mesh: of the devices that hold the variables, see `sharding`; by default the
      run's, or if that does not fit the devices here, one on which each device
      has all of them.

  Raises:
    UserError: there is no such checkpoint, it is damaged, or the config beside
      it was changed.
  """
  checkpoints = Checkpoints(workdir, create=False)
  try:
    info = checkpoints.info(kind)
    made_by = workdir_lib.config_of(workdir, config, info)
    plan = Plan(workdir_lib.from_json(made_by))
    stage = stages.stage_at(
      plan.stages(info["steps"]), checkpoints.latest(kind)
    )
    mesh = mesh or sharding.fitting_mesh(**plan.config.mesh.to_dict())
    whole = sharding.abstract_state(stage.network, stage.optimizer, mesh)
    if stage.average:
      whole = ema.begin(stage.network, whole)
    wanted = (ema.PART if stage.average else "params", "rest")
    state, info, _ = checkpoints.restore(
      kind, {part: whole[part] for part in wanted}, partial=True
    )
  finally:
    checkpoints.close()
  return stage.network, ema.deployed({**whole, **state}), info


def load_teacher(plan: Plan, vocabulary: str = "") -> tuple[Network, Any]:
  """Network and variables of a trained run that a student learns from.

  Args:
    plan: of the student; `task.teacher` is the workdir of the teacher.
    vocabulary: digest of what its tokens mean, see `Source.vocabulary`.

  Raises:
    ValueError: no run there, or one with other inputs, vocabulary or classes,
      or with layers that the task cannot match.
  """
  config, task = plan.config, plan.task
  theirs = workdir_lib.read_config(task.teacher)
  for field in ("shape", "vocab", "num_classes"):
    mine, their = config.data[field], theirs.data[field]
    if np.ravel(mine).tolist() != np.ravel(their).tolist():
      raise ValueError(
        f"Teacher and student differ in `data.{field}`: {their} and {mine}."
      )
  mesh = sharding.make_mesh(**config.mesh.to_dict())
  network, state, info = restore(theirs, task.teacher, "last", mesh)
  datasets.check_vocabulary(config, theirs, vocabulary, info)
  teacher, inputs = network.abstract, plan.input_shapes()
  for student in (network.abstract for network in plan.networks):
    if "vocab" in task.needs and student.vocab != teacher.vocab:
      raise ValueError(
        "Teacher and student differ in `model.vocab`:"
        f" {teacher.vocab} and {student.vocab}."
      )
    task.check_teacher(student, teacher, *inputs)
  return network, state
