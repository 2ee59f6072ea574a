"""Config files: `configs/x.py:arg,key=value` and `--config.field=value`."""

import ast
import runpy
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from bnnjax.core import registry
from bnnjax.train import config as config_lib


def read(spec: str, overrides: Sequence[str] = ()) -> Any:
  """Loads `file.py:args` and applies `--config.field=value` overrides.

  Raises:
    ValueError: no such file, unknown argument or field (with the nearest name),
      a value of another type.
  """
  path, _, arg = spec.partition(":")
  if not Path(path).is_file():
    near = [str(p) for p in Path(path).parent.glob("*.py")]
    raise ValueError(
      f"There is no config file {path!r}.{registry.nearest(path, near)}"
    )
  config = _load(path, arg)
  values, rest = flags.FlagValues(), []
  for override in overrides:
    name, given, text = override.lstrip("-").partition("=")
    known = _fields(config)
    if not name.startswith("config.") or name in known:
      rest.append(override)
      continue
    group, _, key = name.removeprefix("config.").rpartition(".")
    if group not in config_lib.OPEN or not given:
      raise ValueError(
        f"Unknown config field {name!r}.{registry.nearest(name, known)}"
      )
    # An argument that the file leaves at its default; the model, task or
    # optimizer that takes it says so if there is no such argument.
    _open(config, group)[key] = _literal(text)
  argv = ["bnnjax", *rest]
  config_flags.DEFINE_config_dict(
    "config", config, flag_values=values, sys_argv=argv
  )
  try:
    values(argv)
  except flags.UnrecognizedFlagError as error:
    raise ValueError(f"Unknown argument --{error.flagname}.") from None
  except flags.Error as error:
    raise ValueError(str(error)) from None
  return config_lib.resolve(values.config)


def _load(path: str, arg: str) -> ConfigDict:
  """What `get_config(arg)` of a file returns, unlocked.

  Raises:
    ValueError: the file does not run, or returns something else.
  """
  try:
    made = runpy.run_path(path)
    if "get_config" not in made:
      raise ValueError(f"{path} has no function `get_config(arg)`.")
    config = made["get_config"](arg)
  except ValueError:
    raise
  except Exception as error:  # somebody's code: anything can go wrong in it
    line = traceback.extract_tb(error.__traceback__)[-1]
    raise ValueError(
      f"{path} does not run: {type(error).__name__}: {error}"
      f" ({line.filename}, line {line.lineno})."
    ) from error
  if not isinstance(config, ConfigDict):
    raise ValueError(
      f"`get_config` of {path} must return a ConfigDict, got {config!r}."
    )
  return config.unlock()


def _open(config: ConfigDict, group: str) -> ConfigDict:
  for part in group.split("."):
    config = config[part]
  return config


def _literal(text: str) -> Any:
  """A Python literal, else the text itself."""
  try:
    return ast.literal_eval(text)
  except (SyntaxError, ValueError):
    return text


def _fields(config: Any, path: str = "config") -> list[str]:
  """Dotted names of all fields of a config."""
  names = []
  for key, value in config.items():
    names.append(f"{path}.{key}")
    if hasattr(value, "items"):
      names += _fields(value, names[-1])
  return names


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
