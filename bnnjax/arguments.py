"""The command line's arguments; `bnnjax.commands` says what they are."""

import argparse
import itertools
from collections.abc import Sequence

from bnnjax.commands import COMMANDS
from bnnjax.commands.command import SHARED
from bnnjax.errors import UserError, nearest, unknown

CODES = """\
exit codes:
  0    done
  1    `report --check`: the file is stale
  2    the command or what it was given is wrong; one paragraph says what
  70   a fault of bnnjax
  130  stopped by Ctrl-C (SIGINT), 143 by SIGTERM
  141  nobody reads the output any more (SIGPIPE)

Config files, experiments and files of --load are Python programs that bnnjax
runs: give only those that you trust. `eval` and `sample` run the --load files
of the training run again.
"""
CHOICES = {  # by command: other commands may call another thing so
  "eval": {"--checkpoint": ("last", "best")},
  "sample": {"--checkpoint": ("last", "best")},
  "cost": {"--by": ("layer", "scope", "bits")},
}
PATHS = (
  "config", "compare", "workdir", "record", "experiment", "file", "files",
  "load", "out",
)  # fmt: skip


class _Parser(argparse.ArgumentParser):
  """Raises a `UserError` where argparse prints its usage and exits."""

  def error(self, message):
    raise UserError(
      f"{message[:1].upper()}{message[1:]}; see `{self.prog} -h`."
    )


def names(command: str) -> list[str]:
  """Names of the arguments that a command takes, `--load` and `--debug` too."""
  return [name for name, _ in (*COMMANDS[command].arguments, *SHARED)]


def parser() -> argparse.ArgumentParser:
  """The parser of all commands."""
  style = {
    "formatter_class": argparse.RawDescriptionHelpFormatter,
    "allow_abbrev": False,
  }
  lines = (c.examples.splitlines()[0] for c in COMMANDS.values())
  made = _Parser(
    prog="bnnjax",
    description="Binary neural networks in JAX: train, evaluate, count.",
    epilog="\n".join(["examples:", *lines, "", CODES]),
    **style,
  )
  subparsers = made.add_subparsers(dest="command", metavar="COMMAND")
  for name, command in COMMANDS.items():
    sub = subparsers.add_parser(
      name,
      help=command.about,
      description=command.about,
      epilog=f"examples:\n{command.examples}",
      **style,
    )
    for flag, options in (*command.arguments, *SHARED):
      sub.add_argument(flag, **options)
  return made


def parse(argv: Sequence[str]) -> argparse.Namespace:
  """The arguments of a command line, with overrides of config fields.

  Raises:
    UserError: a command or a flag does not exist (says the nearest name), a
      needed argument is missing, or a value has the wrong type.
    SystemExit: after `-h`.
  """
  command = argv[0] if argv else None
  if command is None:
    raise UserError(f"Give a command: {', '.join(COMMANDS)}; see `bnnjax -h`.")
  if command not in COMMANDS and command not in ("-h", "--help"):
    raise unknown("command", command, COMMANDS)
  rest, overrides = _split(argv)
  args, strangers = parser().parse_known_args(rest)
  flags = names(command)
  if overrides and "--config" not in flags:
    strangers = [overrides[0], *strangers]
  if "files" in flags:  # argparse takes those before the next flag only
    args.files += [s for s in strangers if not s.startswith("-")]
    strangers = [s for s in strangers if s.startswith("-")]
  if strangers:
    what = strangers[0].partition("=")[0]
    near = nearest(what, [f for f in flags if f.startswith("-")])
    raise UserError(
      f"Unknown argument {what!r}.{near} See `bnnjax {command} -h`."
    )
  for flag in flags:
    if f"{flag}=--" in rest:  # argparse drops this value
      raise UserError(f"{flag} needs a value, got '--'.")
  for name in COMMANDS[command].needed:
    if not getattr(args, name.lstrip("-")):
      shown = f"{name}=..." if name.startswith("-") else f"the {name}"
      example = COMMANDS[command].examples.splitlines()[0].strip()
      raise UserError(f"Give {shown}, e.g. `{example}`.")
  for name, choices in CHOICES.get(command, {}).items():
    value = getattr(args, name.lstrip("-"), None)
    if value is not None and value not in choices:
      raise unknown(name, value, choices)
  _check_paths(args)
  args.overrides = overrides
  return args


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
  """Splits a command line into what argparse reads, and overrides.

  Example:
    >>> _split(["train", "--config=x.py", "--config.seed", "1", "--fields"])
    (['train', '--config=x.py', '--fields'], ['--config.seed=1'])
  """
  rest, overrides = [], []
  words = list(itertools.takewhile(lambda w: w != "--", argv))
  after = list(argv[len(words) :])
  while words:
    word = words.pop(0)
    if not word.startswith(("--config.", "--noconfig.")):
      rest.append(word)
      continue
    separate = word.startswith("--config.") and "=" not in word
    if separate and words and not words[0].startswith("--"):
      word = f"{word}={words.pop(0)}"
    overrides.append(word)
  return rest + after, overrides


def _check_paths(args: argparse.Namespace) -> None:
  for name in PATHS:
    given = getattr(args, name, None)
    for path in given if isinstance(given, list) else [given or ""]:
      if "\0" in path or any("\ud800" <= c <= "\udfff" for c in path):
        raise UserError(f"{path!r} is no path: it must be UTF-8, without NUL.")
