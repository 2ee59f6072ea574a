"""The folder of a run: config, metrics, checkpoints, record."""

import json
import os
from collections.abc import Mapping
from typing import Any

from etils import epath
from ml_collections import ConfigDict

from bnnjax.errors import UserError
from bnnjax.train import config as config_lib
from bnnjax.train import differences, run_folders

NAME = run_folders.CONFIG


def to_json(config: ConfigDict) -> dict[str, Any]:
  """The config as plain JSON types."""
  return json.loads(json.dumps(config.to_dict()))


def from_json(value: Any) -> Any:
  """JSON lists as tuples, which is what configs hold."""
  if isinstance(value, list):
    return tuple(from_json(v) for v in value)
  if isinstance(value, dict):
    return {k: from_json(v) for k, v in value.items()}
  return value


def make(workdir: epath.PathLike) -> epath.Path:
  """The folder, created if necessary.

  Raises:
    UserError: it cannot be written, or cannot hold checkpoints.
  """
  path = epath.Path(workdir)
  odd = [p for p in path.parts if p == "\\" or p.endswith(".__lock")]
  if odd:  # tensorstore cannot write to such a path
    raise UserError(
      f"The workdir {path} cannot hold checkpoints, because of the folder name"
      f" {odd[0]!r}. Choose another --workdir."
    )
  if path.exists() and not path.is_dir():
    raise UserError(f"The workdir {path} is a file.")
  try:
    path.mkdir(parents=True, exist_ok=True)
    if not os.access(path, os.W_OK):
      raise PermissionError("no permission to write")
  except (OSError, ValueError) as error:  # a NUL in the name
    raise _unwritable(path, error) from error
  return path


def write_config(workdir: epath.Path, config: ConfigDict) -> None:
  """Stores the config atomically.

  Raises:
    UserError: the folder cannot be written.
  """
  text = json.dumps(to_json(config), indent=2) + "\n"
  stored, draft = workdir / NAME, workdir / f"{NAME}.new"
  if stored.exists() and stored.read_text() == text:
    return
  try:
    draft.write_text(text)
    draft.replace(stored)
  except OSError as error:
    raise _unwritable(workdir, error) from error


def _unwritable(path: epath.Path, error: Exception) -> UserError:
  return UserError(
    f"The workdir {path} cannot be written ({error}). Choose another one with"
    " --workdir."
  )


def stored_config(workdir: epath.PathLike) -> ConfigDict | None:
  """As `read_config`; `None` if the folder holds no config."""
  stored = epath.Path(workdir) / NAME
  return read_config(workdir) if stored.exists() else None


def read_config(workdir: epath.PathLike) -> ConfigDict:
  """The resolved config of a run.

  Raises:
    ValueError: no run there.
  """
  stored = epath.Path(workdir) / NAME
  if not stored.exists():
    raise run_folders.no_run(workdir)
  try:
    found = json.loads(stored.read_text())
    if not isinstance(found, dict):
      raise ValueError("not an object")
    return config_lib.resolve(from_json(found))
  except (ValueError, TypeError, OSError, RecursionError) as error:
    # JSONDecodeError and UnicodeDecodeError are ValueErrors.
    raise UserError(
      f"{stored} is not a config ({error}): the folder is no run of bnnjax, or"
      " it was damaged. Choose another --workdir."
    ) from error


def config_of(
  workdir: epath.PathLike, stored: ConfigDict | None, info: Mapping[str, Any]
) -> dict[str, Any]:
  """The config of the run that made a checkpoint, as JSON.

  Args:
    workdir: of the run.
    stored: the config beside the checkpoints; `None` if there is none.
    info: of the checkpoint.

  Raises:
    UserError: the config beside the checkpoint differs, or the checkpoint is too
      old to have one and there is none beside it.
  """
  file = epath.Path(workdir) / NAME
  if "config" not in info:
    if stored is None:
      raise UserError(
        f"{workdir} has a checkpoint of an older version, but no {NAME}, which"
        f" says which run made it. Bring {NAME} back, or choose another --workdir."
      )
    return to_json(stored)
  if stored is not None:
    mine = {"config": to_json(stored)}
    changed = differences.difference({"config": info["config"]}, mine)
    if changed:
      raise UserError(
        f"{file} was changed after the run began: {changed} (there: in the"
        " checkpoint, here: in the file). Bring the old one back."
      )
  return info["config"]
