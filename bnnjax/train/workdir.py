"""The folder of a run: config, metrics, checkpoints, record."""

import json
import os
from typing import Any

import jax
from etils import epath
from ml_collections import ConfigDict

from bnnjax.train import config as config_lib


def to_json(config: ConfigDict) -> dict[str, Any]:
  """The config as plain JSON types."""
  return json.loads(json.dumps(config.to_dict()))


def claim(workdir: epath.PathLike, config: ConfigDict) -> epath.Path:
  """Makes the folder ready for a run, or for going on with it.

  Raises:
    ValueError: the folder cannot be written, or holds a run of another config
      (what differs is named).
  """
  path = epath.Path(workdir)
  stored = path / "config.json"
  if stored.exists():
    # Resolved: a field that is new since then has its default.
    theirs, ours = to_json(read_config(path)), to_json(config)
    theirs |= {"mesh": ours["mesh"]}  # says where arrays lie, not what they are
    if theirs != ours:
      raise ValueError(
        f"The workdir {path} holds a run of another config: {_first_difference(theirs, ours)}."
        " Choose another --workdir, or delete it to start over."
      )
    return path
  if path.exists() and not path.is_dir():
    raise ValueError(f"The workdir {path} is a file.")
  try:
    path.mkdir(parents=True, exist_ok=True)
    if not os.access(path, os.W_OK):
      raise PermissionError("no permission to write")
    if jax.process_index() == 0:
      draft = path / "config.json.new"
      draft.write_text(json.dumps(to_json(config), indent=2) + "\n")
      draft.rename(stored)
  except OSError as error:
    raise ValueError(
      f"The workdir {path} cannot be written ({error}). Choose another one with"
      " --workdir."
    ) from error
  return path


def read_config(workdir: epath.PathLike) -> ConfigDict:
  """The resolved config of a run.

  Raises:
    ValueError: no run there.
  """
  stored = epath.Path(workdir) / "config.json"
  if not stored.exists():
    raise ValueError(f"{workdir} holds no run: {stored} does not exist.")
  return config_lib.resolve(_tuples(_read(stored)))


def _read(stored: epath.Path) -> dict[str, Any]:
  try:
    found = json.loads(stored.read_text())
    if not isinstance(found, dict):
      raise ValueError("not an object")
    return found
  except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are
    raise ValueError(
      f"{stored} is not a config ({error}): the folder is no run of bnnjax, or"
      " it was damaged. Choose another --workdir."
    ) from error


def _tuples(value):
  """JSON lists as tuples, which is what configs hold."""
  if isinstance(value, list):
    return tuple(_tuples(v) for v in value)
  if isinstance(value, dict):
    return {k: _tuples(v) for k, v in value.items()}
  return value


def _first_difference(theirs: Any, ours: Any, path: str = "") -> str:
  if isinstance(theirs, dict) and isinstance(ours, dict):
    for key in sorted({*theirs, *ours}):
      if theirs.get(key) != ours.get(key):
        name = f"{path}.{key}" if path else key
        return _first_difference(theirs.get(key), ours.get(key), name)
  return f"`{path}` is {theirs!r} there and {ours!r} here"
