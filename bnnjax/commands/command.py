"""What a command of the command line is, and what several of them share."""

import argparse
import dataclasses
import os
from collections.abc import Callable
from typing import Any

RUNS = "runs"  # where runs go unless --workdir says otherwise

Argument = tuple[str, dict[str, Any]]  # name, and options of `add_argument`


@dataclasses.dataclass(frozen=True)
class Command:
  """A command.

  Attributes:
    about: what it does, in one sentence.
    examples: command lines, a paragraph below its help.
    run: takes the parsed arguments; returns the exit code. All names are
      registered by then.
    arguments: flags and positional arguments, `--load` and `--debug` aside.
    needed: names of those that have to be given.
    check: raises a `UserError` for wrong arguments. It runs before jax is
      imported, so that a typo is answered at once.
    reads_records: whether these arguments ask for records only, which takes
      neither jax nor registered names.
  """

  about: str
  examples: str
  run: Callable[[argparse.Namespace], int]
  arguments: tuple[Argument, ...] = ()
  needed: tuple[str, ...] = ()
  check: Callable[[argparse.Namespace], None] = lambda args: None
  reads_records: Callable[[argparse.Namespace], bool] = lambda args: False


def argument(name: str, text: str, **options: Any) -> Argument:
  """An argument, with its help and options of `ArgumentParser.add_argument`.

  A default gives the type and stands in the help. A positional argument may be
  left out as far as argparse is concerned; `Command.needed` says otherwise.
  """
  default = options.get("default")
  if default not in (None, "", []):
    options["type"] = type(default)
    text = f"{text} (default: {default})"
  if not name.startswith("-"):
    options.setdefault("nargs", "?")
  return name, {"help": text, **options}


CONFIG = argument(
  "--config",
  "config file (a Python program, which is run) and its arguments, which its"
  " docstring lists; --config.FIELD=VALUE overrides a field, and the last value"
  " of a field wins (`bnnjax train --config=FILE --fields` lists the fields)",
  metavar="FILE[:ARG,...]",
)
WORKDIR = argument("--workdir", "folder of the run")
CHECKPOINT = argument(
  "--checkpoint",
  "which checkpoint to read",
  default="last",
  metavar="last|best",
)
SHARED = (
  argument(
    "--load",
    "run a Python file first, for the names that it registers; a run remembers"
    " it",
    action="append",
    default=[],
    metavar="FILE",
  ),
  argument("--debug", "show an error's traceback", action="store_true"),
)


def check_config(spec: str, args: argparse.Namespace) -> None:
  """Raises if a config file or a field that is overridden does not exist."""
  from bnnjax.train import config_overrides

  given = config_overrides.pairs(args.overrides)
  config_overrides.check(spec, given)


def check_run(args: argparse.Namespace) -> None:
  """Raises unless `--workdir` holds a run."""
  if "://" in args.workdir:  # asking a bucket takes longer than importing jax
    return
  from bnnjax.train import run_folders

  if not os.path.exists(os.path.join(args.workdir, run_folders.CONFIG)):
    raise run_folders.no_run(args.workdir)
