"""`bnnjax report`."""

import argparse
import os
from pathlib import Path

from bnnjax.commands.command import Command, argument
from bnnjax.errors import UserError
from bnnjax.report import markers

EXAMPLES = f"""\
  bnnjax report README.md
  bnnjax report README.md --check

It replaces the lines between these markers of the markdown file. Each marker
has a line of its own; FILE is relative to the markdown file's folder and lies
inside it:
{markers.SYNTAX}"""


def check(args: argparse.Namespace) -> None:
  """Raises unless the page is a file."""
  if not os.path.isfile(args.file):
    raise UserError(f"There is no markdown file {args.file!r}.")


def run(args: argparse.Namespace) -> int:
  """Writes the page, or says whether it is up to date."""
  from bnnjax.report import pages

  file = Path(args.file)
  try:
    old = file.read_bytes().decode()
  except UnicodeDecodeError as error:
    raise UserError(f"{args.file} is not UTF-8 text ({error}).") from error
  new, found = markers.replace(old, pages.makers(file.parent))
  if not found:
    raise UserError(
      f"{args.file} has no markers, between which tables are written:"
      f" {markers.SYNTAX} See `bnnjax report -h`."
    )
  if args.check:
    print(f"{args.file} is {'up to date' if old == new else 'stale'}")
    return int(old != new)
  if old != new:
    file = file.resolve()  # a link stays one
    draft = file.with_name(f"{file.name}.new")
    draft.write_bytes(new.encode())
    draft.replace(file)  # a full disk leaves the old one
  return 0


COMMAND = Command(
  "Regenerate the tables of a markdown file from records.",
  EXAMPLES,
  run,
  arguments=(
    argument("file", "markdown file", default="README.md"),
    argument(
      "--check", "only say whether it is up to date", action="store_true"
    ),
  ),
  check=check,
)
