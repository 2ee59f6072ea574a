"""Config files: `configs/x.py:arg,key=value` and `--config.field=value`."""

import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_flags

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
  made = runpy.run_path(path)
  if "get_config" not in made:
    raise ValueError(f"{path} has no function `get_config(arg)`.")
  values = flags.FlagValues()
  config = made["get_config"](arg)
  for override in overrides:
    name = override.lstrip("-").partition("=")[0]
    if name.startswith("config.") and name not in (known := _fields(config)):
      raise registry.unknown("config field", name, known)
  argv = ["bnnjax", *overrides]
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


def _fields(config: Any, path: str = "config") -> list[str]:
  """Dotted names of all fields of a config."""
  names = []
  for key, value in config.items():
    names.append(f"{path}.{key}")
    if hasattr(value, "items"):
      names += _fields(value, names[-1])
  return names


def name_of(spec: str) -> str:
  """`configs/x.py:smoke,width=0.5` as `x-smoke-width=0.5`."""
  path, _, arg = spec.partition(":")
  stem = path.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".py")
  return "-".join([stem, *filter(None, arg.split(","))])
