"""`bnnjax eval`."""

import argparse

from bnnjax.commands.command import CHECKPOINT, WORKDIR, Command, check_run

EXAMPLES = """\
  bnnjax eval --workdir=runs/trial
  bnnjax eval --workdir=runs/trial --checkpoint=best
"""


def run(args: argparse.Namespace) -> int:
  """Prints the metrics of a checkpoint."""
  from bnnjax.train import evaluate

  for key, value in evaluate.evaluate(args.workdir, args.checkpoint).items():
    print(f"{key:>13}  {value:.4f}")
  return 0


COMMAND = Command(
  "Evaluate a checkpoint of a run.",
  EXAMPLES,
  run,
  arguments=(WORKDIR, CHECKPOINT),
  needed=("--workdir",),
  check=check_run,
)
