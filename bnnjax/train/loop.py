"""The training loop: restore, train, evaluate, save, record.

config -> Job: everything is checked, nothing is written
       -> workdir -> state, as stored or new
       -> each stage: step, log, evaluate, save
       -> record
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
from etils import epath
from ml_collections import ConfigDict

from bnnjax.report import record as record_lib
from bnnjax.tasks.metrics import names_of
from bnnjax.train import (
  datasets,
  diagnostics,
  ema,
  evaluate,
  initial,
  lock,
  programs,
  resume_check,
  run_info,
  sharding,
  stages,
  stops,
  writers,
)
from bnnjax.train import workdir as workdir_lib
from bnnjax.train.checkpoint import Checkpoints
from bnnjax.train.display import Display
from bnnjax.train.job import Job
from bnnjax.train.log_interval import Clock, Interval
from bnnjax.train.programs import Programs
from bnnjax.train.run_info import RunInfo
from bnnjax.train.stages import Stage
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
  signals: stops.Signals | None = None,
  display: Callable[..., Display] = Display,
) -> Result:
  """Trains, evaluates and records one run; resumes one that was killed.

  Args:
    config: see `bnnjax.config.base`.
    workdir: folder of the run.
    name: goes into the record.
    record: file that the record is appended to; `workdir/record.jsonl` if none.
    signals: asked after every step whether to save and stop; by default
      SIGTERM and SIGINT.
    display: makes what shows the run; takes the arguments of `Display`.

  Raises:
    ValueError: anything wrong with config, data or workdir, before anything is
      compiled or written.
    WorkdirInUseError: another process writes to the workdir.
    NonFiniteLossError: names the step.
    Stopped: a signal came; the run is saved.
  """
  job, weights = check(config, workdir, record)
  workdir = workdir_lib.make(workdir)
  record = epath.Path(record or workdir / "record.jsonl")
  first = jax.process_index() == 0
  with contextlib.ExitStack() as stack:
    writer = lock.Writer(workdir)
    if first:
      stack.enter_context(writer)
    signals = stack.enter_context(signals or stops.Signals())
    resumption = resume_check.check(workdir, job)
    record_lib.check_appendable(record)
    for file in ("metrics.jsonl", "diagnostics.jsonl"):
      writers.check_lines(workdir / file)
    if first:
      for line in resumption.news:
        print(line, flush=True)
      workdir_lib.write_config(workdir, job.config)
    checkpoints = Checkpoints(workdir, create=True)
    stack.callback(checkpoints.close)
    batches = datasets.make_train_batches(job.config, job.train_source)
    stack.callback(batches.close)
    info = run_info.new(job, resumption.identity)
    if checkpoints.latest("last") is None:
      state, signs = first_state(job, weights), None
    else:
      state, info, signs = _restore(job, checkpoints, batches, resumption, info)
    del weights  # a copy of the parameters
    initial_step = int(state["step"])
    resumed = initial_step == job.steps and bool(info.eval)
    log = writers.Log(
      workdir,
      job.steps,
      initial_step,
      tensorboard=job.config.tensorboard,
      active=first,
      display=display,
    )
    stack.callback(log.close)
    run = Run(
      job=job,
      workdir=workdir,
      checkpoints=checkpoints,
      batches=batches,
      log=log,
      clock=Clock(job.config.checkpoint, initial_step),
      writer=writer,
      signals=signals,
    )
    only_evaluates = not job.steps and not resumed
    for stage in job.stages:
      if stage.stop > initial_step or only_evaluates:
        state, info = run.train_stage(stage, state, info, signs)
        signs = None
    if first and info.id not in record_lib.ids(record):
      digests = checkpoints.info("last").get("digests", {})
      line = run_info.record_of(job, name, info, digests)
      record_lib.append(record, line)
  last = checkpoints.root / "last"
  return Result(info.eval, job.report, last, record, resumed)


def check(
  config: ConfigDict,
  workdir: epath.PathLike,
  record: epath.PathLike | None = None,
) -> tuple[Job, Any]:
  """Checks a run as far as that is possible without touching a file.

  Returns:
    The job, and the initial weights if `config.init` gives any and the run has
    not begun.

  Raises:
    ValueError: see `train`.
  """
  job, weights = Job(config), None
  if job.config.init and resume_check.read(workdir).info is None:
    network, source = job.stages[0].network, job.train_source
    weights = initial.load(job.config, network, source.vocabulary())
  if record:
    record_lib.check_appendable(record)
  return job, weights


def first_state(job: Job, weights: Any = None) -> State:
  """The state before the first step, with initial weights if there are any."""
  stage = job.stages[0]
  state = stages.first_state(stage, job.config.seed, job.replicated.mesh)
  if weights is None:
    return state
  placed = {part: sharding.shardings_of(state[part]) for part in weights}
  state |= jax.device_put(weights, placed)
  return ema.begin(stage.network, state) if stage.average else state


def _restore(
  job: Job,
  checkpoints: Checkpoints,
  batches: Any,
  resumption: resume_check.Resumption,
  info: RunInfo,
) -> tuple[State, RunInfo, Any]:
  """State, info and signs (see `Diagnostics.saved`) of the last checkpoint."""
  done = checkpoints.latest("last")
  stage = stages.stage_at(job.stages, done)
  state = stages.first_state(stage, job.config.seed, job.replicated.mesh)
  like = diagnostics.saved_like(
    job.config.diagnostics, state["params"], stage.network
  )
  state, stored, signs = checkpoints.restore("last", state, like)
  checkpoints.tidy()
  batches.set_state(stored["position"])
  info = run_info.resumed(info, stored, resumption.lengthened, job)
  best, start = checkpoints.latest("best"), job.stages[-1].start
  if best is None or 0 < best <= start:
    kept = {}  # of another network, before a stage was added
  else:
    kept = checkpoints.info("best")["eval"]
  info = dataclasses.replace(info, best=kept)
  if info.measured == done:
    # A kill between the two saves may have left the better one unsaved.
    info = _save_best(job, checkpoints, stage, done, state, info)
  return state, info, signs


@dataclasses.dataclass(frozen=True)
class Run:
  """A run whose files are open, and what it does step by step.

  Attributes:
    job: what to do.
    workdir: folder of the run.
    checkpoints, batches, log, clock: state, training data, metrics and time.
    writer: the right to write to the workdir.
    signals: asked after every step whether to stop.
  """

  job: Job
  workdir: epath.Path
  checkpoints: Checkpoints
  batches: Iterator[Any]
  log: writers.Log
  clock: Clock
  writer: lock.Writer
  signals: stops.Signals

  def train_stage(
    self, stage: Stage, state: State, info: RunInfo, signs: Any = None
  ) -> tuple[State, RunInfo]:
    """Trains to the end of a stage.

    Args:
      stage: of the run.
      state: at its start, at the end of the stage before, or restored within.
      info: of the state.
      signs: what diagnostics compare with; `None` at the start.
    """
    job, config = self.job, self.job.config
    events = job.events if info.events is None else info.events
    if stage.start and int(state["step"]) == stage.start:
      mesh = job.replicated.mesh
      state, signs = stages.enter(stage, state, config.seed, mesh), None
    step = int(state["step"])
    compiled = programs.make(job, stage, state, self.workdir, signs)
    interval = self._interval(step, info.interval)
    eval_every = max(1, round(config.eval_every * job.steps_per_epoch))
    self.clock.begin(step)
    if not job.steps:
      return state, self._evaluate(compiled, step, state, info)
    while step < stage.stop:
      batch = evaluate.put(next(self.batches), job.sharded)
      state = programs.apply_events(job, events, stage, state, batch, step)
      state, metrics = compiled.train_step(
        state, interval.metrics, batch, job.teacher_state
      )
      step += 1
      interval = dataclasses.replace(interval, metrics=metrics)
      teacher_state = job.teacher_state
      line = compiled.diagnostics.step(step, state, batch, teacher_state)
      if line:
        info = dataclasses.replace(info, diagnosed=line)
      evaluates = step % eval_every == 0 or step == stage.stop
      if evaluates or step % config.log_every == 0:
        loss, info = self._log(compiled, step, state, interval, info)
        interval = self._interval(step)
      stopping = self.signals.should_stop(step)
      if evaluates:
        info = self._evaluate(compiled, step, state, info, loss)
      elif stopping or self.clock.is_due(step):
        info = self._save(compiled, step, state, info, interval)
      if stopping and step < job.steps:
        raise stops.Stopped(self.signals.number, step, job.steps)
    return state, info

  def _interval(self, step: int, saved: Any = None) -> Interval:
    """Steps that are not logged yet: none, or those of a checkpoint."""
    empty = self.job.task.train_metrics.empty()  # new: a step overwrites it
    empty = jax.device_put(empty, self.job.replicated)
    return Interval.begin(step, empty, saved)

  def _log(
    self,
    compiled: Programs,
    step: int,
    state: State,
    interval: Interval,
    info: RunInfo,
  ) -> tuple[float, RunInfo]:
    """Logs an interval; its training loss, and `info` with its flips."""
    self._raise_if_not_finite(state)
    scalars = {k: float(v) for k, v in interval.metrics.compute().items()}
    flips = info.flips + scalars["flip_ratio"] * (step - interval.since)
    rate, settings = self.clock.rate(step), self.job.config.data
    more = {**compiled.stage.rates(step - 1), **writers.speeds(rate, settings)}
    shown = names_of(self.job.task.eval_metrics)
    self.log.interval(step, scalars, rate * settings.batch_size, shown, more)
    info = dataclasses.replace(info, flips=flips, interval=None)
    return scalars["loss"], info

  def _evaluate(
    self,
    compiled: Programs,
    step: int,
    state: State,
    info: RunInfo,
    loss: float | None = None,
  ) -> RunInfo:
    """Evaluates the deployed network, logs and saves; `info` with the result."""
    job = self.job
    try:
      metrics = evaluate.measure(
        compiled.eval_step,
        job.task,
        ema.deployed(state),
        job.eval_batches,
        job.sharded,
        job.replicated,
      )
    except Exception:  # a task's fault must not lose the training before it
      if step:
        self._save(compiled, step, state, info)
      raise
    if not all(map(math.isfinite, metrics.values())):
      raise NonFiniteLossError(
        f"The evaluation at step {step} is not finite ({metrics}).{self._kept()}"
      )
    epoch, split = step / job.steps_per_epoch, job.config.data.eval_split
    self.log.evaluation(step, epoch, loss, metrics, split)
    info = dataclasses.replace(info, eval=metrics, measured=step)
    info = self._save(compiled, step, state, info)
    info = _save_best(job, self.checkpoints, compiled.stage, step, state, info)
    self.clock.restart(step)
    return info

  def _save(
    self,
    compiled: Programs,
    step: int,
    state: State,
    info: RunInfo,
    interval: Interval | None = None,
  ) -> RunInfo:
    """Saves the checkpoint `last`; `info` as it is saved."""
    self._raise_if_not_finite(state)
    self.writer.check()  # another process may have taken over a lease
    lap, cpu = self.clock.lap(), info.cpu_seconds
    info = dataclasses.replace(
      info,
      seconds=info.seconds + lap.wall,
      cpu_seconds=None if cpu is None else cpu + lap.cpu,
      position=self.batches.get_state(),
      interval=interval and interval.to_json(),
    )
    signs = compiled.diagnostics.saved() if step else None
    self.checkpoints.save("last", step, state, info.to_json(), signs)
    self.clock.saved(step)
    return info

  def _raise_if_not_finite(self, state: State) -> None:
    bad = int(state["bad_step"])
    if bad >= 0:
      raise NonFiniteLossError(
        "Batch, loss, gradients or parameters are not finite at step"
        f" {bad} of {self.job.steps}.{self._kept()} Lower `optim.lr`, add"
        " `optim.warmup` or set `optim.grad_clip`."
      )

  def _kept(self) -> str:
    """What is left of a run that cannot continue."""
    if (good := self.checkpoints.latest("last")) is None:
      return " There is no checkpoint yet."
    return f" The last good checkpoint, step {good} of {self.workdir}, is kept."


def _save_best(
  job: Job,
  checkpoints: Checkpoints,
  stage: Stage,
  step: int,
  state: State,
  info: RunInfo,
) -> RunInfo:
  """Keeps a checkpoint that is better than the one kept; `info` with its eval.

  Only in the last stage, because earlier stages have other networks.
  """
  if stage is not job.stages[-1] or not info.eval:
    return info
  key, sign = job.task.headline, 1 if job.task.highest_is_best else -1
  if info.best and sign * info.eval[key] <= sign * info.best[key]:
    return info
  checkpoints.save("best", step, state, info.to_json())
  return dataclasses.replace(info, best=info.eval)
