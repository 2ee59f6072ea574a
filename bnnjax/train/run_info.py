"""What a run knows beside its arrays: `info` of a checkpoint, and the record."""

import dataclasses
import uuid
from collections.abc import Mapping
from typing import Any

from bnnjax.report import record as record_lib
from bnnjax.train import identity
from bnnjax.train import workdir as workdir_lib
from bnnjax.train.job import Job


@dataclasses.dataclass(frozen=True)
class RunInfo:
  """Stored with each checkpoint, as plain JSON.

  Attributes:
    id: of the run, as in its record.
    steps: of the run.
    config, identity: what the run is, see `bnnjax.train.identity`.
    eval, measured: the last evaluation, and its step.
    best: the best evaluation of the last stage.
    flips: sign flips per binarized weight so far.
    seconds: of training and evaluation so far.
    cpu_seconds: of all cores of this process; `None` if a part of the run was
      made by an older version, which did not measure it.
    position: in the training data.
    interval: steps that are not logged yet, see `log_interval.Interval`.
    lengthened_from: id and steps of the finished run that this one continues.
    events: those that a lengthened run still has to apply, `[(step, name)]`;
      `None`: all of the config.
    diagnosed: measures of the last line of diagnostics; `None` before one.
  """

  id: str
  steps: int
  config: dict[str, Any]
  identity: dict[str, Any]
  eval: dict[str, float] = dataclasses.field(default_factory=dict)
  measured: int | None = None
  best: dict[str, float] = dataclasses.field(default_factory=dict)
  flips: float = 0.0
  seconds: float = 0.0
  cpu_seconds: float | None = 0.0
  position: Any = None
  interval: dict[str, Any] | None = None
  lengthened_from: dict[str, Any] | None = None
  events: list[tuple[int, str]] | None = None
  diagnosed: dict[str, float] | None = None

  def to_json(self) -> dict[str, Any]:
    """The fields; the last three only if they are set."""
    fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
    optional = ("lengthened_from", "events", "diagnosed")
    return {
      k: v for k, v in fields.items() if k not in optional or v is not None
    }


def new(job: Job, identity: Mapping[str, Any]) -> RunInfo:
  """`info` before the first step.

  Args:
    job: the run.
    identity: digests of what decides it, see `bnnjax.train.resume_check`.
  """
  return RunInfo(
    id=uuid.uuid4().hex[:12],
    steps=job.steps,
    config=workdir_lib.to_json(job.config),
    identity=dict(identity),
  )


def resumed(
  info: RunInfo, stored: Mapping[str, Any], lengthened: bool, job: Job
) -> RunInfo:
  """`info` of a run that resumes.

  Args:
    info: of `new`.
    stored: JSON of the checkpoint; an older one may lack fields.
    lengthened: whether the stored run was finished and this one is longer.
    job: this run.
  """
  # Checkpoints of format 1 were made at evaluations only.
  kept = {"measured": stored["step"], "cpu_seconds": None, **stored}
  for field in ("steps", "config", "identity"):
    kept.pop(field, None)
  fields = {f.name for f in dataclasses.fields(RunInfo)}
  kept = {name: value for name, value in kept.items() if name in fields}
  if lengthened:
    was = stored["steps"]
    # Events so far have been applied; only a new stage has its own.
    added = any(stage.start == was for stage in job.stages)
    kept |= {
      "id": info.id,
      "lengthened_from": {"id": stored["id"], "steps": was},
      "events": [e for e in job.events if added and e[0] >= was],
    }
  return dataclasses.replace(info, **kept)


def record_of(
  job: Job, name: str, info: RunInfo, digests: Mapping[str, str]
) -> dict[str, Any]:
  """The record of a finished run.

  Args:
    job: the run.
    name: goes into the record.
    info: at its end.
    digests: of the arrays of its last checkpoint.
  """
  metrics = dict(info.eval)
  metrics |= {f"best_{k}": v for k, v in info.best.items()}
  metrics["flips_per_weight"] = info.flips
  metrics |= info.diagnosed or {}
  record = record_lib.Record(
    id=info.id,
    name=name,
    config=workdir_lib.to_json(job.config),
    seed=job.config.seed,
    metrics=metrics,
    cost=job.report.to_json(definitions=False),
    wall_seconds=info.seconds,
  ).to_json()
  contents = dict(info.identity)
  record["steps"] = job.steps
  record["examples"] = {
    "train": len(job.train_source), "eval": len(job.eval_source)
  }  # fmt: skip
  if info.cpu_seconds is not None:
    record["cpu_seconds"] = round(info.cpu_seconds, 1)
  record |= {"digest": contents.pop("run"), **contents}
  if {"params", "rest"} <= digests.keys():  # not on several hosts
    record["weights"] = identity.of_parts(digests)
  if info.lengthened_from:
    record["lengthened_from"] = info.lengthened_from
  return record
