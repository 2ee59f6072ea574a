"""The training loop: from a config to a trained, evaluated, recorded network."""

import contextlib
import dataclasses
import math
from typing import Any

import jax
from etils import epath
from ml_collections import ConfigDict

from bnnjax import data
from bnnjax.report import record as record_lib
from bnnjax.tasks.metrics import names_of
from bnnjax.train import (
  diagnostics,
  ema,
  evaluate,
  identity,
  initial,
  lock,
  resume,
  setup,
  sharding,
  step,
  stops,
  summary,
  writers,
)
from bnnjax.train import workdir as workdir_lib
from bnnjax.train.checkpoint import Checkpoints
from bnnjax.train.interval import Clock, Interval
from bnnjax.train.job import Job
from bnnjax.train.setup import Stage
from bnnjax.train.state import State
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
  """One run. Its config is checked here, before a file is touched.

  Args:
    config, workdir, name, record: see `train`.
    signals: asked after every step whether to save and stop, see `stops`.
  """

  def __init__(self, config, workdir, name, record, signals=None):
    self.job = job = Job(config)
    self.config, self.task, self.steps = job.config, job.task, job.steps
    self.workdir = epath.Path(workdir)
    self.initial = None
    if self.config.init and resume.read(self.workdir).info is None:
      vocabulary = job.train_source.vocabulary()
      self.initial = initial.load(
        self.config, job.stages[0].network, vocabulary
      )
    self.first = jax.process_index() == 0
    self.record = epath.Path(record or self.workdir / "record.jsonl")
    if record:
      record_lib.check_appendable(record)
    self.name = name
    self.signals = signals or stops.Signals()

  def run(self) -> Result:
    """Trains to the end.

    Raises:
      UserError: the workdir is another run's, or in use.
      Stopped: a signal came; the run is saved.
    """
    self.workdir = workdir_lib.make(self.workdir)
    with contextlib.ExitStack() as stack:
      self.writer = lock.Writer(self.workdir)
      if self.first:
        stack.enter_context(self.writer)
      stack.enter_context(self.signals)
      found = self._claim()
      self.checkpoints = Checkpoints(self.workdir, create=True)
      stack.callback(self.checkpoints.close)
      self.iterator = self._make_iterator()
      stack.callback(self.iterator.close)
      state, info, watched = self._start(found)
      begun = int(state["step"])
      resumed = begun == self.steps and bool(info["eval"])
      self.log = writers.Log(
        self.workdir,
        self.steps,
        begun,
        tensorboard=self.config.tensorboard,
        active=self.first,
      )
      stack.callback(self.log.close)
      for stage in self.job.stages:
        if stage.stop > begun or not (self.steps or resumed):
          state, info = self._run_stage(stage, state, info, watched)
          watched = None
      if self.first:
        self._record(info)
    return Result(
      info["eval"],
      self.job.report,
      self.checkpoints.root / "last",
      self.record,
      resumed,
    )

  def _make_iterator(self):
    settings = self.config.data
    return data.make_train_iterator(
      self.job.train_source,
      batch_size=settings.batch_size,
      seed=self.config.seed,
      augment=settings.augment,
      threads=settings.threads,
      workers=settings.workers,
    )

  def _claim(self) -> resume.Found:
    """Makes the workdir this run's, if it may be."""
    held = resume.read(self.workdir)
    self.identity = self._identity(held)
    found = resume.check(
      self.workdir, held, self.config, self.steps, self.identity
    )
    record_lib.check_appendable(self.record)
    for name in ("metrics.jsonl", "diagnostics.jsonl"):
      writers.check_lines(self.workdir / name)
    if self.first:
      for line in found.news:
        print(line, flush=True)
      workdir_lib.write_config(self.workdir, self.config)
    return found

  def _identity(self, held: resume.Held) -> dict[str, Any]:
    """Digests of what decides this run."""
    contents = {
      "data": identity.of_data(self.job.train_source, self.job.eval_source)
    }
    for key, path in (
      ("init", self.config.init),
      ("teacher", self.task.teacher),
    ):
      if path:
        # A run that has begun does not need what it began with.
        contents[key] = identity.of_weights(path) or held.contents.get(key)
    return {**contents, "run": identity.of_run(self.config, contents)}

  def _start(self, found: resume.Found) -> tuple[State, dict[str, Any], Any]:
    """The first state, or that of the last checkpoint."""
    done = self.checkpoints.latest("last")
    stage = setup.stage_at(self.job.stages, done or 0)
    state = self._new_state(stage)
    info = summary.new(self.job, self.identity)
    watched = None
    if done is not None:
      like = diagnostics.saved_like(
        self.config.diagnostics, state["params"], stage.network
      )
      state, stored, watched = self.checkpoints.restore("last", state, like)
      self.checkpoints.tidy()
      self.iterator.set_state(stored["position"])
      info = summary.going_on(info, stored, found.lengthened, self.job)
      info["best"] = self._stored_best()
      if info["measured"] == done:
        # A kill between the two saves may have left the better one unsaved.
        self._save_best(stage, done, state, info)
    elif self.initial is not None:
      placed = {k: sharding.of(state[k]) for k in self.initial}
      state |= jax.device_put(self.initial, placed)
      if stage.average:
        state = ema.begin(stage.network, state)
      self.initial = None  # a copy of the parameters
    self.events = [tuple(e) for e in info.get("events", self.job.events)]
    return state, info, watched

  def _new_state(self, stage: Stage) -> State:
    mesh, seed = self.job.replicated.mesh, self.config.seed
    new = sharding.new_state(stage.network, stage.optimizer, seed, mesh)
    return ema.begin(stage.network, new) if stage.average else new

  def _run_stage(self, stage, state, info, watched):
    """Steps, events, evaluations and checkpoints of one stage."""
    entered = int(state["step"]) == stage.start and stage.start
    if entered:
      state, watched = self._enter(stage, state), None
    now = int(state["step"])
    train_step, self.eval_step, watch = self._compiled(stage, state, watched)
    every = max(1, round(self.config.eval_every * self.job.steps_per_epoch))
    log_every = self.config.log_every
    interval = self._interval(now, info)
    clock = Clock(self.config.checkpoint, now)
    if not self.steps:
      info = self._measure(stage, now, state, info, clock)
    while now < stage.stop:
      batch = evaluate.put(next(self.iterator), self.job.sharded)
      state = self._fire(stage, state, batch, now)
      state, metrics = train_step(
        state, interval.metrics, batch, self.job.teacher_state
      )
      now += 1
      interval = dataclasses.replace(interval, metrics=metrics)
      watch.step(now, state, batch, self.job.teacher_state)
      evaluates = now % every == 0 or now == stage.stop
      if now % log_every == 0 or evaluates:
        loss, info = self._log_interval(
          stage, now, state, interval, info, clock
        )
        interval = self._interval(now)
      stopping = self.signals.should_stop(now)
      if evaluates:
        info = self._measure(stage, now, state, info, clock, loss, watch)
      elif stopping or clock.is_due(now):
        info = self.save_now(now, state, info, clock, interval, watch)
      if stopping and now < self.steps:
        self._stop(now)
    return state, info

  def _compiled(self, stage, state, watched):
    """The functions of one stage, which their first calls compile."""
    length = {"steps": self.steps, "epochs": self.job.epochs}
    shared = {
      **length,
      "teacher": self.job.teacher,
      "accumulate": stage.accumulate,
    }
    train_step = step.make_train_step(
      stage.network,
      stage.optimizer,
      self.task,
      shardings=sharding.of(state),
      average=stage.average,
      **shared,
    )
    watch = diagnostics.Diagnostics(
      self.workdir,
      self.config.diagnostics,
      diagnostics.make_diagnose(stage.network, self.task, **shared),
      stage.network,
      state["params"],
      start=int(state["step"]),
      active=self.first,
      before=watched,
    )
    whole = self.job.replicated
    eval_step = step.make_eval_step(stage.network, self.task, whole)
    return train_step, eval_step, watch

  def _interval(self, now: int, info: Any = None) -> Interval:
    """Steps that are not logged yet: none, or those of a checkpoint."""
    # Placed as a step returns it: one trace serves all.
    empty = jax.device_put(self.task.train_metrics.empty(), self.job.replicated)
    saved = (info or {}).get("interval")
    return Interval.from_json(saved, empty) if saved else Interval(now, empty)

  def _log_interval(self, stage, now, state, interval, info, clock):
    """The training loss of an interval, and `info` with its flips."""
    self._check_finite(state)
    scalars = {k: float(v) for k, v in interval.metrics.compute().items()}
    taken = now - interval.since
    flips = info["flips"] + scalars["flip_ratio"] * taken
    rate, settings = clock.rate(now), self.config.data
    more = {**stage.rates(now - 1), **writers.speeds(rate, settings)}
    shown = names_of(self.task.eval_metrics)
    self.log.interval(now, scalars, rate * settings.batch_size, shown, more)
    return scalars["loss"], {**info, "flips": flips, "interval": None}

  def _measure(self, stage, now, state, info, clock, loss=None, watch=None):
    """`info` with a new evaluation, which is shown and saved."""
    try:
      info = self._evaluate(state, info)
    except NonFiniteLossError:
      raise
    except Exception:  # a fault of a task's evaluation loses no training
      if now:
        self.save_now(now, state, info, clock, None, watch)
      raise
    epoch = now / self.job.steps_per_epoch
    self.log.evaluation(now, epoch, loss, info["eval"])
    info = self.save_now(now, state, info, clock, None, watch)
    self._save_best(stage, now, state, info)
    clock.restart(now)
    return info

  def save_now(self, now, state, info, clock, interval=None, watch=None):
    """`info` as it is saved, with the state, in the checkpoint `last`."""
    self._check_finite(state)
    self.writer.check()  # of a lease that others may have taken over
    info = {
      **info,
      "seconds": info["seconds"] + clock.lap(),
      "position": self.iterator.get_state(),
      "interval": interval and interval.to_json(),
    }
    watched = watch and watch.saved()
    self.checkpoints.save("last", now, state, info, watched)
    clock.saved(now)
    return info

  def _stop(self, now: int) -> None:
    raise stops.Stopped(
      self.signals.number,
      f"Stopped by {stops.name(self.signals.number)} at step {now} of"
      f" {self.steps}, saved. The same command goes on from there.",
    )

  def _enter(self, stage: Stage, state: State) -> State:
    """Hands the state from the stage before to this one."""
    new = self._new_state(stage)
    return ema.carry_over(stage.network, state, new, fresh=stage.fresh)

  def _fire(self, stage, state, batch, step_now):
    """The events whose time has come."""
    for when, name in self.events:
      if when == step_now:
        length = {"steps": self.steps, "epochs": self.job.epochs}
        event = step.make_event(stage.network, name, self.task, **length)
        state = event(state, batch)
    return state

  def _check_finite(self, state: State) -> None:
    bad = int(state["bad_step"])
    if bad >= 0:
      raise NonFiniteLossError(
        "Batch, loss, gradients or parameters are not finite at step"
        f" {bad} of {self.steps}.{self._kept()} Lower `optim.lr`, add"
        " `optim.warmup` or set `optim.grad_clip`."
      )

  def _evaluate(self, state, info) -> dict[str, Any]:
    """`info` with a new evaluation of the deployed network."""
    job = self.job
    got = evaluate.measure(
      self.eval_step,
      self.task,
      ema.deployed(state),
      job.eval_batches,
      job.sharded,
      job.replicated,
    )
    if not all(map(math.isfinite, got.values())):
      raise NonFiniteLossError(
        f"The evaluation at step {int(state['step'])} is not finite ({got})."
        f"{self._kept()}"
      )
    return {**info, "eval": got, "measured": int(state["step"])}

  def _kept(self) -> str:
    """What is left of a run that cannot go on."""
    if (good := self.checkpoints.latest("last")) is None:
      return " There is no checkpoint yet."
    return f" The last good checkpoint, step {good} of {self.workdir}, is kept."

  def _stored_best(self) -> dict[str, float]:
    """The evaluation of the best checkpoint of the last stage, if any."""
    best, start = self.checkpoints.latest("best"), self.job.stages[-1].start
    if best is None or 0 < best <= start:
      return {}  # of another network, before a stage was added
    return self.checkpoints.info("best")["eval"]

  def _save_best(self, stage, now, state, info) -> None:
    """Keeps a checkpoint that is better than the one kept.

    Only in the last stage: the networks of earlier ones are others.
    """
    if stage is not self.job.stages[-1] or not info["eval"]:
      return
    key, best = self.task.headline, info["best"]
    sign = 1 if self.task.highest_is_best else -1
    if not best or sign * info["eval"][key] > sign * best[key]:
      self.checkpoints.save("best", now, state, info)
      info["best"] = info["eval"]

  def _record(self, info) -> None:
    """Appends the record, unless this run is on record already."""
    if info["id"] not in record_lib.ids(self.record):
      stored = self.checkpoints.info("last")
      found = summary.of(self.job, self.name, info, stored)
      record_lib.append(self.record, found)
