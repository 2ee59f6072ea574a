"""The compiled programs of a stage: train step, evaluation step, diagnostics."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
from etils import epath

from bnnjax.train import diagnostics, sharding, step
from bnnjax.train.diagnostics import Diagnostics
from bnnjax.train.job import Job
from bnnjax.train.stages import Stage
from bnnjax.train.state import State


@dataclasses.dataclass(frozen=True)
class Programs:
  """What the loop calls in a stage; the first call of each compiles it.

  Attributes:
    stage: that they belong to.
    train_step: see `step.make_train_step`.
    eval_step: see `step.make_eval_step`.
    diagnostics: measures at an interval.
  """

  stage: Stage
  train_step: Callable[..., Any]
  eval_step: Callable[..., Any]
  diagnostics: Diagnostics


def make(
  job: Job, stage: Stage, state: State, workdir: epath.Path, signs: Any = None
) -> Programs:
  """The programs of a stage.

  Args:
    job: the run.
    stage: of the run.
    state: at its first step; shows how the arrays are sharded.
    workdir: folder of the run.
    signs: what diagnostics compare with, see `Diagnostics.saved`; `None` at the
      start of a stage.
  """
  shared = {
    "steps": job.steps,
    "epochs": job.epochs,
    "teacher": job.teacher,
    "accumulate": stage.accumulate,
  }
  train_step = step.make_train_step(
    stage.network,
    stage.optimizer,
    job.task,
    shardings=sharding.shardings_of(state),
    average=stage.average,
    **shared,
  )
  eval_step = step.make_eval_step(stage.network, job.task, job.replicated)
  diagnose = diagnostics.make_diagnose(stage.network, job.task, **shared)
  watch = Diagnostics(
    workdir,
    job.config.diagnostics,
    diagnose,
    stage.network,
    state["params"],
    start=int(state["step"]),
    active=jax.process_index() == 0,
    before=signs,
  )
  return Programs(stage, train_step, eval_step, watch)


def apply_events(
  job: Job, events: Any, stage: Stage, state: State, batch: Any, now: int
) -> State:
  """The state after the events of step `now`, which see its batch.

  Args:
    job: the run.
    events: `[(step, name), ...]`.
    stage: whose network has the binarizers.
    state, batch: before the step.
    now: number of the step.
  """
  for when, name in events:
    if when == now:
      event = step.make_event(
        stage.network, name, job.task, steps=job.steps, epochs=job.epochs
      )
      state = event(state, batch)
  return state
