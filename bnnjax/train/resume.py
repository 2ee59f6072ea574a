"""Whether a run may go on in a workdir, and from where.

A run goes on in its workdir if config, data, `init` and teacher are what they
were. The one difference that is permitted is the length of a run that is
finished: it then goes on to its new end.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from etils import epath
from ml_collections import ConfigDict

from bnnjax.core.progress import to_step
from bnnjax.errors import UserError
from bnnjax.train import config as config_lib
from bnnjax.train import differences
from bnnjax.train import workdir as workdir_lib
from bnnjax.train.checkpoint import Checkpoints

OTHER = "Choose another --workdir"


@dataclasses.dataclass(frozen=True)
class Held:
  """What a workdir holds.

  Attributes:
    config: of the run there; `None`: there is none.
    info: of its last checkpoint; `None`: there is none.
  """

  config: ConfigDict | None
  info: dict[str, Any] | None

  @property
  def contents(self) -> dict[str, Any]:
    """Digests of what the run began with; empty of an older version."""
    return (self.info or {}).get("identity", {})


def read(workdir: epath.PathLike) -> Held:
  """What a workdir holds.

  Raises:
    UserError: it is damaged, or what the run would go on from is gone.
  """
  checkpoints = Checkpoints(workdir, create=False)
  try:
    done, best = checkpoints.latest("last"), checkpoints.latest("best")
    if done is None and best is not None:
      raise UserError(
        f"The workdir {workdir} holds a best checkpoint, of step {best}, and none"
        f" to go on from: {checkpoints.root / 'last'} is empty or gone. Put it"
        f" back. {OTHER} to start over."
      )
    info = None if done is None else checkpoints.info("last")
  finally:
    checkpoints.close()
  return Held(workdir_lib.stored_config(workdir), info)


@dataclasses.dataclass(frozen=True)
class Found:
  """How a run goes on.

  Attributes:
    lengthened: the run was finished and this one is longer.
    news: what differs and may, to be said on the screen.
  """

  lengthened: bool = False
  news: tuple[str, ...] = ()


def check(
  workdir: epath.Path,
  held: Held,
  config: ConfigDict,
  steps: int,
  contents: Mapping[str, Any],
) -> Found:
  """Compares a run with what its workdir holds.

  Args:
    workdir: of the run.
    held: what is there.
    config: of the run, resolved.
    steps: of the run.
    contents: digests of its data, `init` and teacher.

  Raises:
    UserError: names the first thing that differs and must not.
  """
  ours = {**contents, "config": workdir_lib.to_json(config)}
  if held.info is None:
    if held.config is not None:
      theirs = {"config": workdir_lib.to_json(held.config)}
      _refuse(workdir, differences.difference(theirs, ours))
      _check_begun(workdir, held.config, config)
    return Found()
  made_by = workdir_lib.config_of(workdir, held.config, held.info)
  theirs = {**held.contents, "config": made_by}
  _refuse(workdir, differences.difference(theirs, ours))
  news = (
    *differences.free_changes(theirs, ours),
    *_rewritten(held.config, config),
  )
  if "identity" not in held.info:
    news += (
      "The checkpoint is of an older version: whether the data are the same, and"
      " its arrays what they were, is not checked.",
    )
  before = config_lib.resolve(workdir_lib.from_json(made_by))
  was = held.info["steps"]
  if steps == was:
    if _until(before, was) != _until(config, was):
      _check_begun(workdir, before, config)
    return Found(news=news)
  _check_longer(workdir, before, config, steps, held.info)
  news += (
    f"This run was finished at step {was} and goes on to step {steps}: schedules"
    " and the fraction of the run are computed anew.",
  )
  return Found(lengthened=True, news=news)


def _refuse(workdir: epath.Path, difference: str | None) -> None:
  if difference:
    raise UserError(
      f"The workdir {workdir} holds a run of another config: {difference}."
      f" {OTHER}."
    )


def _check_begun(
  workdir: epath.Path, stored: ConfigDict, config: ConfigDict
) -> None:
  """Refuses another length of a run that has no checkpoint yet."""
  for field in ("epochs", "steps", "stages"):
    mine, their = config[field], stored[field]
    if mine != their:
      _refuse(workdir, f"`{field}` is {their!r} there and {mine!r} here")


def _check_longer(
  workdir: epath.Path,
  before: ConfigDict,
  config: ConfigDict,
  steps: int,
  info: Mapping[str, Any],
) -> None:
  """Refuses what is no longer form of a finished run.

  Raises:
    UserError: the run is not finished, would be shorter, or its stages change.
  """
  was, now = info["steps"], info["step"]
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
  theirs, ours = _until(before, was), _until(config, steps)
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


def _until(config: ConfigDict, steps: int) -> list[dict[str, Any]]:
  """The stages, with their ends as steps."""
  stages = workdir_lib.to_json(config)["stages"] or [{"until": 1.0}]
  return [{**s, "until": to_step(s["until"], steps)} for s in stages]


def _rewritten(stored: ConfigDict | None, config: ConfigDict) -> list[str]:
  """What config.json says otherwise than the run that goes on."""
  if stored is None:
    return [f"{workdir_lib.NAME} was gone and is written again."]
  theirs, ours = workdir_lib.to_json(stored), workdir_lib.to_json(config)
  changed = [k for k in ours if ours[k] != theirs.get(k)]
  return [
    f"{workdir_lib.NAME} has `{k}` {theirs.get(k)!r}; it is written again with"
    f" {ours[k]!r}."
    for k in changed
  ]
