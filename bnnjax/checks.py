"""What can be said of a command line before jax is imported.

Each check takes the parsed arguments and raises a `UserError`.
"""

import argparse
import json
import os
from collections.abc import Sequence

from bnnjax.errors import UserError

PATHS = ("config", "compare", "workdir", "record", "experiment", "file", "load")


def check(args: argparse.Namespace) -> None:
  """Refuses paths where nothing is, and names of fields that no config has.

  Raises:
    UserError: says what would be right.
  """
  _check_paths(args)
  given = vars(args)
  specs = (given.get("config"), *(given.get("compare") or ()))
  if any(specs):
    from bnnjax.train import config_overrides

    for spec in filter(None, specs):
      config_overrides.check(spec, config_overrides.pairs(args.overrides))
  if args.command == "cost":
    _check_cost(args)
  if args.command in ("eval", "sample") and "://" not in args.workdir:
    stored = os.path.join(args.workdir, "config.json")
    if not os.path.exists(stored):
      raise UserError(f"{args.workdir} holds no run: {stored} does not exist.")
  if args.command == "report" and not os.path.isfile(args.file):
    raise UserError(f"There is no markdown file {args.file!r}.")
  if args.command == "sweep" and not os.path.isfile(args.experiment):
    raise UserError(f"No experiment {args.experiment!r}: give a Python file.")


def loaded(args: argparse.Namespace) -> Sequence[str]:
  """The files of --load, or else those that the run was trained with.

  Raises:
    UserError: one of them is not there.
  """
  for file in args.load:
    if not os.path.isfile(file):
      raise UserError(f"There is no file {file!r} (--load).")
  if args.load or args.command not in ("eval", "sample"):
    return args.load
  return remembered(args.workdir)


def _check_paths(args: argparse.Namespace) -> None:
  for name in PATHS:
    given = getattr(args, name, None)
    for path in given if isinstance(given, list) else [given or ""]:
      if "\0" in path or any("\ud800" <= c <= "\udfff" for c in path):
        raise UserError(f"{path!r} is no path: it must be UTF-8, without NUL.")


def remembered(workdir: os.PathLike | str) -> list[str]:
  """The files that the run of a workdir was trained with (`--load`).

  Raises:
    UserError: one of them is not there.
  """
  from etils import epath

  try:
    stored = json.loads((epath.Path(workdir) / "config.json").read_text())
    load = stored.get("load", ())
  except (OSError, ValueError, AttributeError, RecursionError):
    return []  # reading it again says what is wrong with it
  load = load if isinstance(load, list) else []
  files = [file for file in load if isinstance(file, str)]
  for file in files:
    if not os.path.isfile(file):
      raise UserError(
        f"The run {workdir} was trained with --load={file}, and there is no such"
        " file: give --load=FILE (`bx.load`: `files`), or work in the folder that"
        " it was trained in."
      )
  return files


def _check_cost(args) -> None:
  """Refuses flags of `cost` that do not go together."""
  given = [n for n in ("config", "function", "compare") if getattr(args, n)]
  if len(given) != 1:
    raise UserError(
      "Give one of --config=FILE, --compare A B or MODULE:FUNCTION with"
      f" --shape; got {' and '.join(given) or 'none'}."
    )
  if args.function and args.overrides:
    raise UserError(
      f"{args.overrides[0].partition('=')[0]} belongs to --config or --compare."
    )
  if (args.shape or args.params) and not args.function:
    raise UserError("--shape and --params belong to MODULE:FUNCTION.")
