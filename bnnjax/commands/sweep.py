"""`bnnjax sweep`."""

import argparse
import os

from bnnjax.commands.command import RUNS, Command, argument
from bnnjax.errors import UserError

EXAMPLES = """\
  bnnjax sweep experiments/fashion_mnist_mini_pokebnn.py
"""


def check(args: argparse.Namespace) -> None:
  """Raises unless the experiment is a file."""
  if not os.path.isfile(args.experiment):
    raise UserError(f"No experiment {args.experiment!r}: give a Python file.")


def run(args: argparse.Namespace) -> int:
  """Trains what is not on record yet."""
  from bnnjax.train import sweep

  record = sweep.run(args.experiment, args.record, RUNS, args.load)
  print(f"records: {record}")
  return 0


COMMAND = Command(
  "Train every config that an experiment yields.",
  EXAMPLES,
  run,
  arguments=(
    argument("experiment", "Python file with a function sweep()"),
    argument(
      "--record",
      "file of records (default: results/NAME.jsonl beside the experiment)",
    ),
  ),
  needed=("experiment",),
  check=check,
)
