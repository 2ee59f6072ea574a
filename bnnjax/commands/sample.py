"""`bnnjax sample`."""

import argparse

from bnnjax.commands.command import (
  CHECKPOINT,
  WORKDIR,
  Command,
  argument,
  check_run,
)
from bnnjax.errors import UserError

EXAMPLES = """\
  bnnjax sample --workdir=runs/plays_lm-method=float
  bnnjax sample --workdir=runs/plays_lm-method=float \\
      --prompt="ROMEO. " --top-p=0.9 --tokens=500
  bnnjax sample --workdir=runs/plays_lm-method=float \\
      --prompt="ROMEO. " --prompt="JULIET. " --batch=2 --stop="."
"""
# What only a task that writes texts knows.
TEXT = (
  argument(
    "--prompt",
    "text to continue (default: a new line); give it again for another",
    action="append",
  ),
  argument("--tokens", "number of tokens to write", default=256),
  argument(
    "--stop",
    "end a text before this one; give it again for another (an end-of-text"
    " token of a tokenizer.json also ends it)",
    action="append",
    default=[],
    metavar="TEXT",
  ),
  argument(
    "--ignore-end", "continue after end-of-text tokens", action="store_true"
  ),
  argument(
    "--temperature",
    "below 1: more predictable; 0: always the most likely token",
    default=1.0,
  ),
  argument(
    "--top-k", "draw from the K most likely tokens; 0: from all", default=0
  ),
  argument(
    "--top-p",
    "draw from the most likely tokens whose probabilities add up to this"
    "; 1: from all",
    default=1.0,
  ),
)


def run(args: argparse.Namespace) -> int:
  """Prints continuations of prompts, or writes the samples of another task."""
  from bnnjax.train import sample

  if not sample.is_text(args.workdir):
    return _write(args)
  prompts = args.prompt or ["\n"]
  pieces = sample.sample(
    args.workdir,
    prompts,
    args.tokens,
    batch=args.batch,
    seed=args.seed,
    checkpoint=args.checkpoint,
    stop=args.stop,
    ignore_end=args.ignore_end,
    temperature=args.temperature,
    top_k=args.top_k,
    top_p=args.top_p,
  )
  starts = [prompt for prompt in prompts for _ in range(args.batch)]
  if len(starts) == 1:
    print(*starts, end="", flush=True)
    for (piece,) in pieces:
      print(piece, end="", flush=True)
    print()
    return 0
  for number, text in enumerate(zip(starts, *pieces), 1):
    print(f"--- {number} of {len(starts)}\n{''.join(text)}")
  return 0


def _write(args: argparse.Namespace) -> int:
  """Writes the samples of a task without prompts to a file."""
  from bnnjax.train import sample

  for flag, options in TEXT:
    switch = options.get("action") == "store_true"
    default = options.get("default", False if switch else None)
    if getattr(args, flag.lstrip("-").replace("-", "_")) != default:
      raise UserError(
        f"{flag} is for texts, which the task of {args.workdir} does not write:"
        " leave it out."
      )
  path, drawn = sample.write(
    args.workdir, args.batch, seed=args.seed, checkpoint=args.checkpoint
  )
  print(f"{path}  {drawn.dtype} {list(drawn.shape)}")
  return 0


COMMAND = Command(
  "Continue prompts with a trained language model; the samples of other tasks"
  " go to a file.",
  EXAMPLES,
  run,
  arguments=(
    WORKDIR,
    *TEXT,
    argument(
      "--batch",
      "number of texts for each prompt (more than one are printed at the end),"
      " or of samples",
      default=1,
    ),
    argument("--seed", "seed of the random choices", default=0),
    CHECKPOINT,
  ),
  needed=("--workdir",),
  check=check_run,
)
