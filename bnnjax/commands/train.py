"""`bnnjax train`."""

import argparse

from bnnjax.commands.command import (
  CONFIG,
  RUNS,
  Command,
  argument,
  check_config,
)
from bnnjax.errors import UserError

MINI = "configs/fashion_mnist_mini_pokebnn.py"
PLAYS = "configs/plays_lm.py"
EXAMPLES = f"""\
  bnnjax train --config={MINI}
  bnnjax train --config={MINI}:smoke \\
      --config.optim.lr=1e-3 --workdir=runs/trial
  bnnjax train --config={PLAYS}:method=float --config.model.act=ste
  bnnjax train --config={PLAYS} --fields
"""


def run(args: argparse.Namespace) -> int:
  """Trains, or lists the config's fields."""
  from bnnjax.train import config_fields, config_file

  if args.distributed:
    _join()
  name = config_file.name_of(args.config)
  given = args.config, args.overrides, args.load
  if args.fields:
    print(config_fields.listing(config_file.read(*given)))
    return 0
  from bnnjax.train import display, loop

  config = config_file.read_unresolved(*given)
  workdir = args.workdir or f"{RUNS}/{name}"
  result = loop.train(config, workdir, name=name, record=args.record)
  if result.resumed:
    print("This run was finished before; delete its workdir to train again.")
  report = result.report
  bits = ", ".join(f"{k} {v:,}" for k, v in report.macs_by_name.items())
  split = display.label(config.data.eval_split)
  lines = {
    **{f"{split} {k}": f"{v:.4f}" for k, v in result.metrics.items()},
    "ACE": f"{report.ace:,}",
    "BOPs": f"{report.bops:,}",
    "MACs": bits,
    "weight bytes": f"{report.weight_bytes('deployed'):,}",
    "checkpoint": result.checkpoint,
    "record": result.record,
  }
  for key, value in lines.items():
    print(f"{key:>13}  {value}")
  print("ACE: sum of MACs x w_bits x a_bits, floats as 16. BOPs: the 1x1-bit")
  print("MACs. Weight bytes: everything that is stored. One example.")
  return 0


def _join() -> None:
  """Makes this process one of several hosts."""
  import jax

  try:
    jax.distributed.initialize()
  except (RuntimeError, ValueError) as error:
    raise UserError(f"--distributed: jax says: {error}") from error


COMMAND = Command(
  "Train, evaluate and record one run.",
  EXAMPLES,
  run,
  arguments=(
    CONFIG,
    argument(
      "--fields",
      "list the config's fields with type, default and meaning, and do not"
      " train",
      action="store_true",
    ),
    argument(
      "--workdir",
      "folder of the run (default: runs/CONFIG); a stopped run resumes there",
    ),
    argument(
      "--record", "file to append the record to (default: WORKDIR/record.jsonl)"
    ),
    argument(
      "--distributed",
      "call jax.distributed.initialize() first (several hosts)",
      action="store_true",
    ),
  ),
  needed=("--config",),
  check=lambda args: check_config(args.config, args),
)
