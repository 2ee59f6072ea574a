"""`bnnjax reproduce`."""

import argparse
import os
from pathlib import Path

from bnnjax.commands import output
from bnnjax.commands.command import RUNS, Command, argument
from bnnjax.errors import UserError

EXAMPLES = """\
  bnnjax reproduce --list
  bnnjax reproduce biper --from-records
  bnnjax reproduce biper --results=/tmp/again

The last one trains everything anew: no record of that folder is known. A
stopped experiment goes on where it was.
"""


def check(args: argparse.Namespace) -> None:
  """Raises unless there is something to do, and the folder exists."""
  if not args.paper and not args.list:
    raise UserError(
      "Name an experiment, e.g. `bnnjax reproduce biper`, or give `--list`."
    )
  if not os.path.isdir(args.experiments):
    raise UserError(
      f"There is no folder {args.experiments!r}: experiments are part of a clone;"
      " run the command in its root, or give `--experiments`."
    )


def run(args: argparse.Namespace) -> int:
  """Lists verdicts, or trains what has no record and writes the page."""
  from bnnjax.evidence import experiment, page, runner, verdict
  from bnnjax.evidence.results import Results

  folder = Path(args.experiments)
  results = Path(args.results or folder / "results")
  if args.list:
    print(page.verdict_table(results, folder), end="")
    return 0
  wanted = experiment.load(args.paper, folder)
  print(f"{wanted.title}\nClaim: {wanted.claim}.\n{wanted.setting}\n")
  if not args.from_records:
    runner.run(args.paper, wanted, results, Path(RUNS))
  found = Results.of(args.paper, wanted, results)
  found.check_configs()
  for each in verdict.of_all(found, (*wanted.claims, *wanted.also)):
    print(f"{each.word:>9}: {each.claim.text}: {each}")
  place = results if args.results else folder
  _write(place / f"{args.paper}.md", page.page(found))
  _write(place / "README.md", page.index(results, folder))
  return 0


def _write(file: Path, text: str) -> None:
  """Writes a page, whole or not at all, and says whether it changed."""
  if file.exists() and file.read_text() == text:
    print(f"{file}: as before")
    return
  output.write({file: text.encode()})
  print(f"{file}: written")


COMMAND = Command(
  "Repeat an experiment on a paper's claim: runs, page, verdict.",
  EXAMPLES,
  run,
  arguments=(
    argument("paper", "name of an experiment, see --list"),
    argument(
      "--list",
      "print the verdict of every experiment, and do nothing else",
      action="store_true",
    ),
    argument(
      "--from-records",
      "train nothing: write page and verdict from the records",
      action="store_true",
    ),
    argument(
      "--experiments", "folder of the experiments", default="experiments"
    ),
    argument(
      "--results",
      "folder of the record files (default: results in that of the experiments);"
      " the page is written there too",
    ),
  ),
  check=check,
)
