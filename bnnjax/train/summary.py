"""What is known of a run beside its arrays: `info` of checkpoints, the record.

`info` is plain JSON:
  id: of the run, as in its record.
  steps: of the run.
  config, identity: what the run is, see `identity`.
  eval, measured: the last evaluation, and at which step it was.
  best: the best evaluation of the last stage.
  flips: sign flips for each binarized weight so far.
  seconds: of training and evaluation so far.
  position: in the training data.
  interval: steps that are not logged yet, see `interval.Interval`.
  lengthened_from: id and steps of the finished run that this one goes on from.
  events: those that a lengthened run has still to fire, where not all of them.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from bnnjax.report import record as record_lib
from bnnjax.train import identity
from bnnjax.train import workdir as workdir_lib
from bnnjax.train.job import Job


def new(job: Job, contents: Mapping[str, Any]) -> dict[str, Any]:
  """`info` before the first step."""
  return {
    "id": uuid.uuid4().hex[:12],
    "steps": job.steps,
    "config": workdir_lib.to_json(job.config),
    "identity": dict(contents),
    "eval": {},
    "measured": None,
    "best": {},
    "flips": 0.0,
    "seconds": 0.0,
  }


def going_on(
  mine: Mapping[str, Any],
  stored: Mapping[str, Any],
  lengthened: bool,
  job: Job,
) -> dict[str, Any]:
  """`info` of a run that goes on.

  Args:
    mine: as of `new`.
    stored: of the checkpoint.
    lengthened: the run in the checkpoint was finished, this one is longer.
    job: this one.
  """
  # Older checkpoints come with evaluations only.
  info = {"measured": stored["step"], **stored}
  info |= {k: mine[k] for k in ("steps", "config", "identity")}
  if lengthened:
    was = stored["steps"]
    info["id"] = mine["id"]
    info["lengthened_from"] = {"id": stored["id"], "steps": was}
    # Those of the run so far have fired; only a new stage has its own.
    added = any(stage.start == was for stage in job.stages)
    info["events"] = [e for e in job.events if added and e[0] >= was]
  return info


def of(
  job: Job, name: str, info: Mapping[str, Any], stored: Mapping[str, Any]
) -> dict[str, Any]:
  """The record of a finished run.

  Args:
    job: the run.
    name: goes into the record.
    info: at its end.
    stored: `info` of its last checkpoint, with digests of the arrays.
  """
  metrics = dict(info["eval"])
  metrics |= {f"best_{k}": v for k, v in info["best"].items()}
  metrics["flips_per_weight"] = info["flips"]
  record = record_lib.Record(
    id=info["id"],
    name=name,
    config=workdir_lib.to_json(job.config),
    seed=job.config.seed,
    metrics=metrics,
    cost=job.report.to_json(),
    wall_seconds=info["seconds"],
  ).to_json()
  contents = dict(info["identity"])
  record |= {"digest": contents.pop("run"), **contents}
  digests = stored.get("digests", {})
  if {"params", "rest"} <= digests.keys():  # not on several hosts
    record["weights"] = identity.of_parts(digests)
  if before := info.get("lengthened_from"):
    record["lengthened_from"] = before
  return record
