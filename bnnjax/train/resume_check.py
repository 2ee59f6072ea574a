"""Whether a run may resume in a workdir, and from where.

A run resumes in its workdir if its config, data, `init` and teacher are
unchanged. One difference is allowed: a finished run may be made longer, and
then continues to its new end.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from etils import epath
from ml_collections import ConfigDict

from bnnjax.core.progress import to_step
from bnnjax.errors import UserError
from bnnjax.train import code, differences, identity
from bnnjax.train import config as config_lib
from bnnjax.train import workdir as workdir_lib
from bnnjax.train.checkpoint import Checkpoints
from bnnjax.train.job import Job

OTHER = "Choose another --workdir"


@dataclasses.dataclass(frozen=True)
class Held:
  """What a workdir holds.

  Attributes:
    config: of the run there; `None` if there is no run.
    info: of its last checkpoint, as JSON; `None` if there is no checkpoint.
  """

  config: ConfigDict | None
  info: dict[str, Any] | None

  @property
  def contents(self) -> dict[str, Any]:
    """Digests of what the run began with; empty for an older version."""
    return (self.info or {}).get("identity", {})


def read(workdir: epath.PathLike) -> Held:
  """What a workdir holds.

  Raises:
    UserError: it is damaged, or the checkpoint to resume from is gone.
  """
  checkpoints = Checkpoints(workdir, create=False)
  try:
    done, best = checkpoints.latest("last"), checkpoints.latest("best")
    if done is None and best is not None:
      raise UserError(
        f"The workdir {workdir} holds a best checkpoint, of step {best}, but"
        f" none to resume from: {checkpoints.root / 'last'} is empty or gone."
        f" Put it back. {OTHER} to start over."
      )
    info = None if done is None else checkpoints.info("last")
  finally:
    checkpoints.close()
  return Held(workdir_lib.stored_config(workdir), info)


@dataclasses.dataclass(frozen=True)
class Resumption:
  """How a run begins or resumes in its workdir.

  Attributes:
    identity: digests of its data, `init`, teacher, and of all that decides it.
    lengthened: whether the run there was finished and this one is longer.
    news: differences that are allowed, to be printed.
  """

  identity: dict[str, Any]
  lengthened: bool = False
  news: tuple[str, ...] = ()


def check(workdir: epath.Path, job: Job) -> Resumption:
  """Compares a run with the one that its workdir holds.

  Raises:
    UserError: the two differ where they must not; names the first difference.
  """
  config, held = job.config, read(workdir)
  contents = _identity(job, held)
  ours = {**contents, "config": workdir_lib.to_json(config)}
  if held.info is None:
    if held.config is not None:
      theirs = {"config": workdir_lib.to_json(held.config)}
      _raise_if(workdir, differences.difference(theirs, ours))
      _check_same_length(workdir, held.config, config)
    return Resumption(contents)
  made_by = workdir_lib.config_of(workdir, held.config, held.info)
  theirs = {**held.contents, "config": made_by}
  mended = _mended_tasks(held.info, theirs, ours)
  kept = {k: v for k, v in ours.get("code", {}).items() if k not in mended}
  _raise_if(workdir, differences.difference(theirs, {**ours, "code": kept}))
  news = (
    *(
      f"The code of the {name} has changed: the run goes on." for name in mended
    ),
    *differences.free_changes(theirs, ours),
    *_rewritten(held.config, config),
  )
  if "identity" not in held.info:
    news += (
      "The checkpoint is of an older version: whether the data are the same, and"
      " its arrays unchanged, is not checked.",
    )
  before = config_lib.resolve(workdir_lib.from_json(made_by))
  was = held.info["steps"]
  if job.steps == was:
    if _stages_in_steps(before, was) != _stages_in_steps(config, was):
      _check_same_length(workdir, before, config)
    return Resumption(contents, news=news)
  _check_longer(workdir, before, job, held.info)
  news += (
    f"This run was finished at step {was} and continues to step {job.steps}:"
    " schedules and the fraction of the run are computed anew.",
  )
  return Resumption(contents, lengthened=True, news=news)


def _identity(job: Job, held: Held) -> dict[str, Any]:
  """Digests of what decides a run."""
  contents = {"data": identity.of_data(job.train_source, job.eval_source)}
  for key, path in (("init", job.config.init), ("teacher", job.task.teacher)):
    if path:
      # A run that has begun does not need its start any more.
      contents[key] = identity.of_weights(path) or held.contents.get(key)
  if found := code.of_config(job.config):
    contents["code"] = found
  return {**contents, "run": identity.of_run(job.config, contents)}


def _mended_tasks(
  info: Mapping[str, Any], theirs: Mapping[str, Any], ours: Mapping[str, Any]
) -> list[str]:
  """Tasks whose code has changed in a run that is not finished.

  What fails in an evaluation can be mended without training again.
  """
  if info["step"] == info["steps"] and info["eval"]:
    return []
  before, now = theirs.get("code", {}), ours.get("code", {})
  return [
    name
    for name in now
    if name.startswith("task ") and before.get(name, now[name]) != now[name]
  ]


def _raise_if(workdir: epath.Path, difference: str | None) -> None:
  if difference:
    raise UserError(
      f"The workdir {workdir} holds a run of another config: {difference}."
      f" {OTHER}."
    )


def _check_same_length(
  workdir: epath.Path, stored: ConfigDict, config: ConfigDict
) -> None:
  """Raises if a run without a checkpoint changes its length."""
  for field in ("epochs", "steps", "stages"):
    mine, their = config[field], stored[field]
    if mine != their:
      _raise_if(workdir, f"`{field}` is {their!r} there and {mine!r} here")


def _check_longer(
  workdir: epath.Path, before: ConfigDict, job: Job, info: Mapping[str, Any]
) -> None:
  """Raises unless a run is the stored one, finished and made longer.

  Raises:
    UserError: the stored run is not finished, the new one is shorter, or its
      stages change.
  """
  was, now, steps = info["steps"], info["step"], job.steps
  if now < was or not info["eval"]:
    raise UserError(
      f"The workdir {workdir} holds a run of {was} steps, of which {now} are"
      f" done; this one has {steps} steps. Only a finished run can be made"
      f" longer: finish it with its own `epochs`, `steps` and `stages` first."
      f" {OTHER} for a new run."
    )
  if steps <= was:
    raise UserError(
      f"The workdir {workdir} holds a finished run of {was} steps; this one has"
      f" {steps}. A run can only be made longer. {OTHER} for a new run."
    )
  theirs, ours = (
    _stages_in_steps(before, was),
    _stages_in_steps(job.config, steps),
  )
  several = max(len(theirs), len(ours)) > 1
  if several and not (
    len(ours) > len(theirs) and ours[: len(theirs)] == theirs
  ):
    raise UserError(
      f"The workdir {workdir} holds a finished run whose stages end at steps"
      f" {[s['until'] for s in theirs]}; those of this one end at"
      f" {[s['until'] for s in ours]}. A run of several stages can only be made"
      " longer by a stage after those, which stay as they are, with `until` given"
      f" in steps. {OTHER} for a new run."
    )


def _stages_in_steps(config: ConfigDict, steps: int) -> list[dict[str, Any]]:
  """The stages, with their ends as steps."""
  stages = workdir_lib.to_json(config)["stages"] or [{"until": 1.0}]
  return [{**s, "until": to_step(s["until"], steps)} for s in stages]


def _rewritten(stored: ConfigDict | None, config: ConfigDict) -> list[str]:
  """The fields of config.json that differ from those of the run."""
  if stored is None:
    return [f"{workdir_lib.NAME} was gone and is written again."]
  theirs, ours = workdir_lib.to_json(stored), workdir_lib.to_json(config)
  changed = [k for k in ours if ours[k] != theirs.get(k)]
  return [
    f"{workdir_lib.NAME} has `{k}` {theirs.get(k)!r}; it is written again with"
    f" {ours[k]!r}."
    for k in changed
  ]
