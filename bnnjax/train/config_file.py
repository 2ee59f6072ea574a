"""Config files: `configs/x.py:arg,key=value` and `--config.field=value`."""

import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from bnnjax import errors
from bnnjax.errors import UserError
from bnnjax.train import config as config_lib
from bnnjax.train import overrides


def read(
  spec: str, given: Sequence[str] = (), load: Sequence[str] = ()
) -> ConfigDict:
  """Loads `file.py:args` and applies `--config.field=value` overrides.

  Args:
    spec: a config file and its arguments.
    given: the overrides.
    load: Python files that were run before, which the config then names; those
      that the file asks for by `config.load` are run here.

  Raises:
    ValueError: no such file, unknown argument or field (with the nearest name),
      a value of another type.
  """
  given = overrides.pairs(given)
  overrides.check(spec, given)
  path, _, arg = spec.partition(":")
  config = _load(path, arg)
  overrides.apply(config, given)
  more = tuple(f for f in _files(config.get("load")) if f not in load)
  for file in more:
    run(file)
  config.load = (*load, *more)
  return config_lib.resolve(config)


def run(path: str) -> dict[str, Any]:
  """Runs a Python file that somebody wrote; its names.

  Raises:
    UserError: there is no such file, or it does not run: says where.
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
    ValueError: the file does not run, refuses its arguments, or returns
      something else.
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
  """`configs/x.py:smoke,width=0.5` as `x-smoke-width=0.5`.

  Of a folder among the arguments the last part: the name is one of a folder.
  """
  path, _, arg = spec.partition(":")
  stem = path.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".py")
  parts = (
    key + equals + value.rstrip("/").rsplit("/", 1)[-1]
    for key, equals, value in (p.partition("=") for p in arg.split(",") if p)
  )
  return "-".join([stem, *parts])
