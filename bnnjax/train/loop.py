"""The training loop: from a config to a trained, evaluated, recorded network."""

import dataclasses
import math
import time
import uuid
from typing import Any

import jax
from etils import epath
from ml_collections import ConfigDict

from bnnjax import data, models, tasks
from bnnjax.report import record as record_lib
from bnnjax.train import config as config_lib
from bnnjax.train import (
  diagnostics,
  initial,
  inputs,
  setup,
  sharding,
  step,
  writers,
)
from bnnjax.train import workdir as workdir_lib
from bnnjax.train.checkpoint import Checkpoints
from bnnjax.train.setup import Stage
from bnnjax.train.state import State, carry_over
from bnnjax.train.step import NonFiniteLossError


@dataclasses.dataclass(frozen=True)
class Result:
  """What a run leaves.

  Attributes:
    metrics: final evaluation of the deployed network.
    report: its cost for one example.
    checkpoint: folder of the last checkpoint.
    record: file that the record was appended to.
    resumed: whether the run had been finished before.
  """

  metrics: dict[str, float]
  report: Any
  checkpoint: epath.Path
  record: epath.Path
  resumed: bool


def train(
  config: ConfigDict,
  workdir: epath.PathLike,
  *,
  name: str = "run",
  record: epath.PathLike | None = None,
) -> Result:
  """Trains, evaluates and records one run; goes on where a killed one stopped.

  Args:
    config: see `bnnjax.train.config.base`.
    workdir: folder of the run.
    name: goes into the record.
    record: file that the record is appended to; `workdir/record.jsonl` if none.

  Raises:
    ValueError: anything wrong with config, data or workdir, before anything is
      compiled or written.
    NonFiniteLossError: names the step.
  """
  return Run(config, workdir, name, record).run()


class Run:
  """One run. Everything is checked here before a file is touched."""

  def __init__(self, config, workdir, name, record):
    self.config = config = config_lib.resolve(config)
    self.task = tasks.build(config.task)
    self.sharded, self.replicated = setup.shardings(config)
    self.train_source, self.eval_source = inputs.load_data(config)
    self.steps_per_epoch = data.steps_per_epoch(
      self.train_source, config.data.batch_size
    )
    self.steps = config.steps or round(config.epochs * self.steps_per_epoch)
    if self.steps < 1 and (config.epochs or not config.init):
      raise ValueError(
        "The run has no step: raise `epochs` or `steps`. (Only what `init` gives"
        " can be measured untrained, with `epochs` 0.)"
      )
    self.epochs = self.steps / self.steps_per_epoch
    self.stages = setup.plan(config, self.steps)
    setup.check_used(config)
    self.network = self.stages[-1].network
    required = [
      (s.start, models.required_events(s.network.abstract)) for s in self.stages
    ]
    self.events = config_lib.check_times(config, self.steps, required)
    self.teacher, self.teacher_state = None, None
    if self.task.teacher:
      self.teacher, self.teacher_state = setup.load_teacher(
        config, self.task, self.stages
      )
    self.initial = None
    if config.init and not Checkpoints.begun(workdir):
      self.initial = initial.load(config, self.stages[0].network)
    self.report = setup.cost_of(config)
    self.iterator = data.make_train_iterator(
      self.train_source,
      batch_size=config.data.batch_size,
      seed=config.seed,
      augment=config.data.augment,
      threads=config.data.threads,
      workers=config.data.workers,
    )
    self.eval_batches = inputs.make_eval_batches(config, self.eval_source)
    self.first = jax.process_index() == 0
    self.record = epath.Path(record or epath.Path(workdir) / "record.jsonl")
    if record:
      record_lib.check_appendable(record)
    self.workdir = workdir_lib.claim(workdir, config)
    self.name = name

  def run(self) -> Result:
    """Trains to the end."""
    self.checkpoints = Checkpoints(self.workdir, create=True)
    state, info = self._start()
    begun = int(state["step"])
    resumed = begun == self.steps and bool(info["eval"])
    self.log = writers.Log(
      self.workdir,
      self.steps,
      begun,
      tensorboard=self.config.tensorboard,
      active=self.first,
    )
    try:
      for stage in self.stages:
        if stage.stop > begun or not (self.steps or resumed):
          state, info = self._run_stage(stage, state, info)
    finally:
      self.log.close()
      self.checkpoints.close()
    if self.first:
      self._record(info)
    return Result(
      info["eval"],
      self.report,
      self.checkpoints.root / "last",
      self.record,
      resumed,
    )

  def _start(self) -> tuple[State, dict[str, Any]]:
    """The first state, or that of the last checkpoint."""
    done = self.checkpoints.latest("last")
    stage = setup.stage_at(self.stages, done or 0)
    state = self._new_state(stage)
    info = {
      "id": uuid.uuid4().hex[:12],
      "steps": self.steps,
      "eval": {},
      "best": {},
      "flips": 0.0,
      "seconds": 0.0,
    }
    if done is not None:
      state, info = self.checkpoints.restore("last", state, self.iterator)
      # A kill between the two saves may have left the better one unsaved.
      self._save_best(stage, done, state, info)
    elif self.initial is not None:
      placed = {k: sharding.of(state[k]) for k in self.initial}
      state |= jax.device_put(self.initial, placed)
      self.initial = None  # a copy of the parameters
    return state, info

  def _new_state(self, stage: Stage) -> State:
    mesh, seed = self.replicated.mesh, self.config.seed
    return sharding.new_state(stage.network, stage.optimizer, seed, mesh)

  def _run_stage(self, stage, state, info):
    """Steps, events, evaluations and checkpoints of one stage."""
    if int(state["step"]) == stage.start and stage.start:
      state = self._enter(stage, state)
    config, now = self.config, int(state["step"])
    shared = {
      "steps": self.steps,
      "epochs": self.epochs,
      "teacher": self.teacher,
    }
    train_step = step.make_train_step(
      stage.network,
      stage.optimizer,
      self.task,
      shardings=sharding.of(state),
      **shared,
    )
    self.eval_step = step.make_eval_step(stage.network, self.task)
    watch = diagnostics.Diagnostics(
      self.workdir,
      config.diagnostics,
      diagnostics.make_diagnose(stage.network, self.task, **shared),
      stage.network,
      state["params"],
      start=now,
      active=self.first,
    )
    every = max(1, round(config.eval_every * self.steps_per_epoch))
    metrics = self._empty(self.task.train_metrics)
    began = clock = time.monotonic()
    since = now
    if not self.steps:
      info = self._measure(stage, now, state, info, began)
    while now < stage.stop:
      batch = self._put(next(self.iterator))
      state = self._fire(stage, state, batch, now)
      state, metrics = train_step(state, metrics, batch, self.teacher_state)
      now += 1
      watch.step(now, state, batch, self.teacher_state)
      evaluates = now % every == 0 or now == stage.stop
      if now % config.log_every == 0 or evaluates:
        self._check_finite(state)
        scalars = {k: float(v) for k, v in metrics.compute().items()}
        metrics = self._empty(self.task.train_metrics)
        flips = info["flips"] + scalars["flip_ratio"] * (now - since)
        info = {**info, "flips": flips}
        rate = (now - since) * config.data.batch_size
        rate /= time.monotonic() - clock
        shown = self.task.eval_metrics.__annotations__
        self.log.interval(now, scalars, rate, shown)
        if evaluates:
          loss = scalars["loss"]
          info = self._measure(stage, now, state, info, began, loss)
          began = time.monotonic()
        clock, since = time.monotonic(), now
    return state, info

  def _measure(self, stage, now, state, info, began, loss=None):
    """`info` with a new evaluation, which is shown and saved."""
    info = self._evaluate(state, info)
    info["seconds"] += time.monotonic() - began
    epoch = now / self.steps_per_epoch
    self.log.evaluation(now, epoch, loss, info["eval"])
    self.checkpoints.save("last", now, state, self.iterator, info)
    self._save_best(stage, now, state, info)
    return info

  def _enter(self, stage: Stage, state: State) -> State:
    """Hands the state from the stage before to this one."""
    new = self._new_state(stage)
    return carry_over(stage.network, state, new, fresh=stage.fresh)

  def _fire(self, stage, state, batch, step_now):
    """The events whose time has come."""
    for when, name in self.events:
      if when == step_now:
        length = {"steps": self.steps, "epochs": self.epochs}
        event = step.make_event(stage.network, name, self.task, **length)
        state = event(state, batch)
    return state

  def _empty(self, metrics: Any) -> Any:
    """No observation yet, placed as a step returns it: one trace serves all."""
    return jax.device_put(metrics.empty(), self.replicated)

  def _put(self, batch):
    return jax.tree.map(
      lambda x: jax.make_array_from_process_local_data(self.sharded, x), batch
    )

  def _check_finite(self, state: State) -> None:
    bad = int(state["bad_step"])
    if bad >= 0:
      raise NonFiniteLossError(
        "Batch, loss, gradients or parameters are not finite at step"
        f" {bad} of {self.steps}. The last good"
        f" checkpoint under {self.workdir} is kept. Lower `optim.lr`, add"
        " `optim.warmup` or set `optim.grad_clip`."
      )

  def _evaluate(self, state, info) -> dict[str, Any]:
    """`info` with a new evaluation of the deployed network."""
    metrics = self._empty(self.task.eval_metrics)
    for batch in self.eval_batches:
      metrics = self.eval_step(state, metrics, self._put(batch))
    got = {k: float(v) for k, v in metrics.compute().items()}
    if not all(map(math.isfinite, got.values())):
      raise NonFiniteLossError(
        f"The evaluation at step {int(state['step'])} is not finite ({got})."
        f" The last good checkpoint under {self.workdir} is kept."
      )
    return {**info, "eval": got}

  def _save_best(self, stage, now, state, info) -> None:
    """Keeps a checkpoint that is better than the one kept.

    Only in the last stage: the networks of earlier ones are others.
    """
    if stage is not self.stages[-1] or not info["eval"]:
      return
    key, best = self.task.headline, {}
    sign = 1 if self.task.highest_is_best else -1
    if self.checkpoints.latest("best") is not None:
      best = self.checkpoints.info("best")["eval"]
    if not best or sign * info["eval"][key] > sign * best[key]:
      self.checkpoints.save("best", now, state, self.iterator, info)
      best = info["eval"]
    info["best"] = best

  def _record(self, info) -> None:
    """Appends the record, unless this run is on record already."""
    if info["id"] in record_lib.ids(self.record):
      return
    metrics = dict(info["eval"])
    metrics |= {f"best_{k}": v for k, v in info["best"].items()}
    metrics["flips_per_weight"] = info["flips"]
    record_lib.append(
      self.record,
      record_lib.Record(
        id=info["id"],
        name=self.name,
        config=workdir_lib.to_json(self.config),
        seed=self.config.seed,
        metrics=metrics,
        cost=self.report.to_json(),
        wall_seconds=info["seconds"],
      ).to_json(),
    )
