"""The Python files that `--load` runs, for the names that they register."""

import argparse
import json
import os
from collections.abc import Sequence

from bnnjax.errors import UserError


def of(args: argparse.Namespace) -> Sequence[str]:
  """The files of `--load`, or else those that the run was trained with.

  Raises:
    UserError: a file does not exist.
  """
  for file in args.load:
    if not os.path.isfile(file):
      raise UserError(f"There is no file {file!r} (--load).")
  if args.load or args.command not in ("eval", "sample"):
    return args.load
  return remembered(args.workdir)


def remembered(workdir: os.PathLike | str) -> list[str]:
  """The files that the run of a workdir was trained with (`--load`).

  Raises:
    UserError: a file does not exist.
  """
  from etils import epath

  try:
    stored = json.loads((epath.Path(workdir) / "config.json").read_text())
    load = stored.get("load", ())
  except (OSError, ValueError, AttributeError, RecursionError):
    return []  # whoever reads the config next raises
  load = load if isinstance(load, list) else []
  files = [file for file in load if isinstance(file, str)]
  for file in files:
    if not os.path.isfile(file):
      raise UserError(
        f"The run {workdir} was trained with --load={file}, a file that does not"
        " exist: give --load=FILE (`bx.load`: `files`), or work in the folder"
        " that it was trained in."
      )
  return files
