"""Orbax checkpoints of a run: `last` to go on from, `best` to keep.

Each holds the state, the position in the data, and what was measured.
"""

from typing import Any

import grain
import jax
import orbax.checkpoint as ocp
from etils import epath

KINDS = ("last", "best")


class Checkpoints:
  """The checkpoints under a workdir.

  Args:
    workdir: of the run.
    create: make the folders (a run does, an evaluation does not).
  """

  def __init__(self, workdir: epath.PathLike, *, create: bool):
    root = epath.Path(workdir).absolute() / "checkpoints"
    options = ocp.CheckpointManagerOptions(
      max_to_keep=1,
      create=create,
      read_only=not create,
      enable_async_checkpointing=False,
    )
    self._managers = {
      kind: ocp.CheckpointManager(root / kind, options=options)
      for kind in KINDS
      if create or (root / kind).exists()
    }
    self.root = root

  @staticmethod
  def begun(workdir: epath.PathLike) -> bool:
    """Whether a run has left a checkpoint to go on from."""
    folder = epath.Path(workdir) / "checkpoints" / "last"
    # A kill while the first is written leaves a folder of another name.
    return folder.exists() and any(p.name.isdigit() for p in folder.iterdir())

  def latest(self, kind: str = "last") -> int | None:
    """Step of the stored checkpoint; `None` if there is none."""
    manager = self._managers.get(kind)
    return None if manager is None else manager.latest_step()

  def save(
    self, kind: str, step: int, state: Any, data: Any, info: dict[str, Any]
  ) -> None:
    """Stores state, data position and `info`; the older one goes after it."""
    self._managers[kind].save(
      step,
      args=ocp.args.Composite(
        state=ocp.args.PyTreeSave(state),
        data=grain.checkpoint.CheckpointSave(data),
        info=ocp.args.JsonSave(info),
      ),
      force=True,
    )

  def info(self, kind: str) -> dict[str, Any]:
    """What was measured when the checkpoint was made.

    Raises:
      ValueError: there is no such checkpoint.
    """
    step = self._step(kind)
    parts = ocp.args.Composite(info=ocp.args.JsonRestore())
    return self._read(kind, step, parts)["info"]

  def _read(self, kind: str, step: int, parts: ocp.args.Composite):
    try:
      return self._managers[kind].restore(step, args=parts)
    except Exception as error:  # orbax and tensorstore raise whatever
      raise ValueError(
        f"The checkpoint {self.root / kind / str(step)} cannot be read"
        f" ({type(error).__name__}). It is damaged, or of another version:"
        " delete the workdir to start over, or evaluate the other one with"
        " --checkpoint."
      ) from error

  def _step(self, kind: str) -> int:
    step = self.latest(kind)
    if step is None:
      raise ValueError(f"No {kind!r} checkpoint under {self.root}.")
    return step

  def restore(
    self, kind: str, state: Any, data: Any = None, *, partial: bool = False
  ) -> tuple[Any, dict[str, Any]]:
    """Reads a checkpoint into the structure and sharding of `state`.

    Args:
      kind: `"last"` or `"best"`.
      state: arrays or `jax.ShapeDtypeStruct`s with shardings.
      data: iterator whose position is set, in place.
      partial: whether the checkpoint may hold more than `state` has, which is
        then not read.

    Returns:
      The state and the `info` it was stored with.

    Raises:
      ValueError: there is no such checkpoint.
    """
    step = self._step(kind)
    wanted = jax.tree.map(_abstract, state)
    parts = {
      "state": ocp.args.PyTreeRestore(
        wanted,
        restore_args=ocp.checkpoint_utils.construct_restore_args(wanted),
        partial_restore=partial,
      ),
      "info": ocp.args.JsonRestore(),
    }
    if data is not None:
      parts["data"] = grain.checkpoint.CheckpointRestore(data)
    got = self._read(kind, step, ocp.args.Composite(**parts))
    return got["state"], got["info"]

  def close(self) -> None:
    for manager in self._managers.values():
      manager.close()


def _abstract(x):
  return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding)
