"""Config files: `configs/x.py:arg,key=value` and `--config.field=value`."""

import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from bnnjax import errors
from bnnjax.errors import UserError
from bnnjax.train import config as config_lib
from bnnjax.train import config_overrides


def read(
  spec: str, given: Sequence[str] = (), load: Sequence[str] = ()
) -> config_lib.Resolved:
  """As `read_unresolved`, resolved: checked, with every field set."""
  return config_lib.resolve(read_unresolved(spec, given, load))


def read_unresolved(
  spec: str, given: Sequence[str] = (), load: Sequence[str] = ()
) -> ConfigDict:
  """Loads `file.py:args` and applies `--config.field=value` overrides.

  Args:
    spec: a config file and its arguments.
    given: the overrides.
    load: Python files that have been run already; the config records them. The
      files that the config itself lists in `load` are run here.

  Returns:
    The config for a run, which resolves it (see `config.resolve`).

  Raises:
    ValueError: there is no such file, the file fails, or an argument or
      override is unknown (with the nearest name) or has another type.
  """
  given = config_overrides.pairs(given)
  config_overrides.check(spec, given)
  path, _, arg = spec.partition(":")
  config = _load(path, arg)
  config_overrides.apply(config, given)
  more = tuple(f for f in _files(config.get("load")) if f not in load)
  for file in more:
    run(file)
  config.load = (*load, *more)
  return config.lock()


def run(path: str) -> dict[str, Any]:
  """Runs a user's Python file and returns its names.

  Raises:
    UserError: there is no such file, or it fails; says where.
  """
  if "\0" in path or not Path(path).is_file():
    raise UserError(f"There is no file {path!r} to run.")
  with errors.running(path):
    return runpy.run_path(path)


def _files(load: Any) -> tuple[str, ...]:
  load = (load,) if isinstance(load, str) else load or ()
  if not isinstance(load, tuple) or not all(isinstance(f, str) for f in load):
    raise UserError(
      f"Config field 'load' must be a tuple of Python files, got {load!r}."
    )
  return load


def _load(path: str, arg: str) -> ConfigDict:
  """What `get_config(arg)` of a file returns, unlocked.

  Raises:
    ValueError: the file fails, rejects its arguments, or returns something
      else.
  """
  made = run(path)
  if not callable(made.get("get_config")):
    raise UserError(f"{path} has no function `get_config(arg)`.")
  with errors.running(path):
    config = made["get_config"](arg)
  if not isinstance(config, ConfigDict):
    raise UserError(
      f"`get_config` of {path} must return a ConfigDict, got {config!r}."
    )
  return config.unlock()


def name_of(spec: str) -> str:
  """The name of a run: `x-smoke-width=0.5` for `configs/x.py:smoke,width=0.5`.

  The name has to be one folder, so a path among the arguments gives its last
  part: `x-teacher=t` for `configs/x.py:teacher=runs/t`.
  """
  path, _, arg = spec.partition(":")
  stem = path.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".py")
  parts = (
    key + equals + value.rstrip("/").rsplit("/", 1)[-1]
    for key, equals, value in (p.partition("=") for p in arg.split(",") if p)
  )
  return "-".join([stem, *parts])
