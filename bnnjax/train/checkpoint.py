"""Orbax checkpoints of a run: `last` to resume from, `best` to keep.

A checkpoint holds the state, the signs that diagnostics compare with, and `info`
(see `bnnjax.train.run_info`) with digests of all of this. Reading one checks the
digests. The loop resumes from `last`; `bnnjax.train.runs` reads either for all other
uses.
"""

import contextlib
import functools
import importlib.metadata
import json
import logging
import os
from collections.abc import Iterator
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath

from bnnjax.data import digest
from bnnjax.errors import UserError
from bnnjax.train import identity

KINDS = ("last", "best")
# 2: `info` has digests, the position in the data and the config. Format 1 has no
# number; its position is in grain's files, and nothing is checked.
FORMAT = 2
PARTS = ("info", "state")  # folders of a checkpoint


class Checkpoints:
  """The checkpoints under a workdir.

  Args:
    workdir: of the run.
    create: make the folders (a run does, an evaluation does not).
  """

  def __init__(self, workdir: epath.PathLike, *, create: bool):
    folder = os.fspath(workdir)
    if "://" not in folder:
      folder = os.path.abspath(folder)  # tensorstore takes no `..`
    self.root = epath.Path(folder) / "checkpoints"
    self._create = create

  @functools.cached_property
  def _managers(self) -> dict[str, ocp.CheckpointManager]:
    try:
      with _errors_only():
        options = ocp.CheckpointManagerOptions(
          max_to_keep=1,
          create=self._create,
          read_only=not self._create,
          enable_async_checkpointing=False,
        )
        return {
          kind: ocp.CheckpointManager(self.root / kind, options=options)
          for kind in KINDS
          if self._create or (self.root / kind).is_dir()
        }
    except (OSError, ValueError) as error:
      raise UserError(
        f"The checkpoints {self.root} cannot be used ({error})."
      ) from error

  def latest(self, kind: str = "last") -> int | None:
    """Step of the stored checkpoint; `None` if there is none.

    Raises:
      UserError: the newest folder there is no checkpoint.
    """
    folder = self.root / kind
    if not folder.is_dir():
      return None
    # A kill during a write leaves a folder whose name is no number.
    steps = [int(p.name) for p in folder.iterdir() if p.name.isdecimal()]
    if not steps:
      return None
    newest = folder / str(max(steps))
    lacking = [part for part in PARTS if not (newest / part).is_dir()]
    if lacking:
      others = sorted(steps)[:-1]
      older = f" The one before it is step {others[-1]}." if others else ""
      raise UserError(
        f"{newest} is no checkpoint of a run, it has no"
        f" {' and no '.join(lacking)}: if it is not of this run, move it"
        f" elsewhere.{older}"
      )
    return max(steps)

  def save(
    self,
    kind: str,
    step: int,
    state: Any,
    info: dict[str, Any],
    watched: Any = None,
  ) -> None:
    """Stores state and `info`, then deletes the checkpoint before.

    Args:
      kind: `"last"` or `"best"`.
      step: optimizer steps taken.
      state: arrays by part, `params` and so on.
      info: plain JSON.
      watched: signs that diagnostics compare with, see `Diagnostics.saved`.
    """
    parts = {**state, **({"watched": watched} if watched else {})}
    info = {
      **{k: v for k, v in info.items() if k != "digest"},
      "format": FORMAT,
      "written_by": importlib.metadata.version("bnnjax"),
      "step": step,
      "digests": {
        k: identity.of_arrays(v) for k, v in parts.items() if _whole(v)
      },
    }
    info["digest"] = digest.of(info)
    items = {
      "state": ocp.args.PyTreeSave(state),
      "info": ocp.args.JsonSave(info),
    }
    if watched:
      items["watched"] = ocp.args.PyTreeSave(watched)
    self._managers[kind].save(
      step, args=ocp.args.Composite(**items), force=True
    )

  def info(self, kind: str) -> dict[str, Any]:
    """The `info` of a checkpoint, see `bnnjax.train.run_info`.

    Raises:
      UserError: there is no such checkpoint, it is damaged, or a newer version
        has written it.
    """
    step = self._step(kind)
    parts = ocp.args.Composite(info=ocp.args.JsonRestore())
    info = self._read(kind, step, parts)["info"]
    where = self.root / kind / str(step)
    if not isinstance(info, dict):
      raise self._damaged(where, "`info`")
    if "format" not in info and "digest" not in info:
      if not {"id", "steps", "eval", "best", "flips", "seconds"} <= info.keys():
        raise self._damaged(where, "`info`")
      return {**info, "step": step, "position": self._old_position(where)}
    told = {k: v for k, v in info.items() if k != "digest"}
    newer = isinstance(info.get("format"), int) and info["format"] > FORMAT
    if newer:
      raise UserError(
        f"The checkpoint {where} is of format {info['format']}, written by bnnjax"
        f" {info.get('written_by')}; this one reads formats up to {FORMAT}. Use"
        " that version."
      )
    if digest.of(told) != info.get("digest") or info["step"] != step:
      raise self._damaged(where, "`info`")
    return info

  def _old_position(self, where: epath.Path) -> Any:
    """Position in the data of a checkpoint of format 1."""
    # Every process has a file, and all of them say the same.
    for file in sorted((where / "data").glob("process_*.json")):
      try:
        return json.loads(file.read_text())
      except ValueError as error:
        raise self._damaged(where, file.name) from error
    raise self._damaged(where, "no position in the data")

  def _read(self, kind: str, step: int, parts: ocp.args.Composite):
    try:
      return self._managers[kind].restore(step, args=parts)
    except Exception as error:  # orbax and tensorstore raise whatever
      what = f"{type(error).__name__}"
      raise self._damaged(self.root / kind / str(step), what) from error

  def _damaged(self, where: epath.Path, what: str) -> UserError:
    return UserError(
      f"The checkpoint {where} cannot be read ({what}): it is damaged, or its"
      " network is another. `best` or `last`, whichever is whole, can be"
      " evaluated with --checkpoint; another --workdir starts over."
    )

  def _step(self, kind: str) -> int:
    step = self.latest(kind)
    if step is None:
      raise UserError(f"No {kind!r} checkpoint under {self.root}.")
    return step

  def restore(
    self, kind: str, state: Any, watched: Any = None, *, partial: bool = False
  ) -> tuple[Any, dict[str, Any], Any]:
    """Reads a checkpoint into the structure and sharding of `state`.

    Args:
      kind: `"last"` or `"best"`.
      state: arrays or `jax.ShapeDtypeStruct`s with shardings, by part.
      watched: the same for the signs of diagnostics, if they are wanted.
      partial: whether the checkpoint may hold more parts than `state`; they are
        not read.

    Returns:
      The state, its `info`, and the signs that diagnostics compare with, `None`
      if the checkpoint has none.

    Raises:
      UserError: there is no such checkpoint, or it is damaged.
    """
    step, info = self._step(kind), self.info(kind)
    parts = {"state": _restore(state, partial)}
    stored = info.get("digests", {})
    if watched and "watched" in stored:
      parts["watched"] = _restore(watched, partial=False)
    got = self._read(kind, step, ocp.args.Composite(**parts))
    found = {**got["state"], "watched": got.get("watched")}
    for part, want in stored.items():
      value = found.get(part)
      if value is None or not _whole(value):
        continue
      if identity.of_arrays(value) != want:
        raise self._damaged(
          self.root / kind / str(step), f"the arrays of `{part}` have changed"
        )
    return got["state"], info, got.get("watched")

  def tidy(self) -> None:
    """Deletes older checkpoints that a kill has left beside the newest."""
    for manager in self._managers.values():
      *older, _ = sorted(manager.all_steps()) or [None]
      for step in older:
        manager.delete(step)

  def close(self) -> None:
    for manager in self.__dict__.get("_managers", {}).values():
      manager.close()


@contextlib.contextmanager
def _errors_only() -> Iterator[None]:
  """Hides that orbax warns, for each folder, of opening it read-only as asked."""
  log = logging.getLogger("absl")
  level = log.level
  log.setLevel(max(level, logging.ERROR))
  try:
    yield
  finally:
    log.setLevel(level)


def _restore(wanted: Any, partial: bool) -> ocp.args.PyTreeRestore:
  wanted = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding),
    wanted,
  )
  return ocp.args.PyTreeRestore(
    wanted,
    restore_args=ocp.checkpoint_utils.construct_restore_args(wanted),
    partial_restore=partial,
  )


def _whole(tree: Any) -> bool:
  """Whether this process can read all of its arrays."""
  return all(x.is_fully_addressable for x in jax.tree.leaves(tree))
