"""The command line's arguments, as a table; `bnnjax.cli` runs the commands."""

import argparse

EXAMPLES = """\
examples:
  bnnjax train --config=configs/fashion_mnist_mini_pokebnn.py
  bnnjax train --config=configs/fashion_mnist_mini_pokebnn.py:smoke \\
      --config.optim.lr=1e-3 --workdir=runs/trial
  bnnjax eval --workdir=runs/trial --checkpoint=best
  bnnjax cost --config=configs/imagenet_pokebnn.py:width=1.0 --json
  bnnjax sample --workdir=runs/shakespeare --prompt="ROMEO." --top-p=0.9
  bnnjax list estimator
"""
KINDS = (
  "method", "estimator", "scale", "transform", "schedule", "output", "grad",
  "projection", "model", "task", "distance", "source", "augment",
)  # fmt: skip


CONFIG = (
  "--config",
  {
    "metavar": "FILE[:ARG,...]",
    "help": "config file and its arguments; --config.FIELD=VALUE overrides a"
    " field (the file's docstring names arguments, `bnnjax.train.config` the"
    " fields)",
  },
)
SHARED = (
  (
    "--load",
    {
      "action": "append",
      "default": [],
      "metavar": "FILE",
      "help": "run a Python file first, for the names that it registers",
    },
  ),
  ("--debug", {"action": "store_true", "help": "show an error's traceback"}),
)
COMMANDS = {
  "train": (
    "Train, evaluate and record one run.",
    (CONFIG[0], {**CONFIG[1], "required": True}),
    (
      "--workdir",
      {
        "help": "folder of the run (default: runs/CONFIG); a stopped run goes on"
        " there"
      },
    ),
    (
      "--record",
      {"help": "file that the record is appended to (WORKDIR/record.jsonl)"},
    ),
    (
      "--distributed",
      {
        "action": "store_true",
        "help": "call jax.distributed.initialize() first (several hosts)",
      },
    ),
  ),
  "eval": (
    "Evaluate the checkpoint of a run.",
    ("--workdir", {"required": True, "help": "folder of the run"}),
    (
      "--checkpoint",
      {"choices": ("last", "best"), "default": "last", "help": "which one"},
    ),
  ),
  "sample": (
    "Let a trained language model go on from a prompt.",
    ("--workdir", {"required": True, "help": "folder of the run"}),
    (
      "--prompt",
      {
        "action": "append",
        "help": "text to go on from (default: a new line); once for each",
      },
    ),
    (
      "--tokens",
      {"type": int, "default": 256, "help": "tokens of a text (default: 256)"},
    ),
    (
      "--stop",
      {
        "action": "append",
        "default": [],
        "metavar": "TEXT",
        "help": "end a text before this one; once for each (an end-of-text token"
        " of a tokenizer.json ends it, too)",
      },
    ),
    (
      "--ignore-end",
      {"action": "store_true", "help": "go on behind end-of-text tokens"},
    ),
    (
      "--temperature",
      {
        "type": float,
        "default": 1.0,
        "help": "below 1 more predictable; 0: always the likeliest token",
      },
    ),
    (
      "--top-k",
      {"type": int, "default": 0, "help": "of the K likeliest tokens (0: all)"},
    ),
    (
      "--top-p",
      {
        "type": float,
        "default": 1.0,
        "help": "of the likeliest tokens that have this share together",
      },
    ),
    (
      "--batch",
      {
        "type": int,
        "default": 1,
        "help": "texts of a prompt; several texts appear at the end",
      },
    ),
    ("--seed", {"type": int, "default": 0, "help": "another: other texts"}),
    (
      "--checkpoint",
      {"choices": ("last", "best"), "default": "last", "help": "which one"},
    ),
  ),
  "cost": (
    "Count the deployed network of a config, or any function; needs no data.",
    CONFIG,
    (
      "function",
      {
        "nargs": "?",
        "metavar": "MODULE:FUNCTION",
        "help": "code that is not ours: a function or module object to trace",
      },
    ),
    (
      "--shape",
      {
        "action": "append",
        "default": [],
        "metavar": "N,H,W,C[:DTYPE]",
        "help": "shape of an argument of the function; once for each",
      },
    ),
    (
      "--params",
      {
        "default": "",
        "metavar": "I,J",
        "help": "which arguments of the function are parameters, e.g. 0,2",
      },
    ),
    (
      "--compare",
      {
        "nargs": 2,
        "metavar": ("A", "B"),
        "help": "two configs side by side, B as a ratio of A",
      },
    ),
    ("--json", {"action": "store_true", "help": "print JSON"}),
    ("--csv", {"action": "store_true", "help": "print CSV"}),
    (
      "--by",
      {
        "choices": ("layer", "scope", "bits"),
        "default": "layer",
        "help": "rows of the table",
      },
    ),
  ),
  "sweep": (
    "Train every config that an experiment yields.",
    ("experiment", {"help": "Python file with a function sweep()"}),
    ("--record", {"help": "records (default: results/NAME.jsonl beside it)"}),
  ),
  "report": (
    "Regenerate the tables of a markdown file from records.",
    ("file", {"nargs": "?", "default": "README.md", "help": "markdown file"}),
    ("--check", {"action": "store_true", "help": "only say if up to date"}),
  ),
  "new": (
    "Write the two skeleton files of a new method.",
    ("method", {"help": "its name, e.g. my_sign"}),
    ("--arxiv", {"required": True, "help": "identifier of the paper"}),
  ),
  "list": (
    "List what configs can name.",
    ("kind", {"nargs": "?", "help": f"one of {', '.join(KINDS)}"}),
  ),
}


def parser() -> argparse.ArgumentParser:
  """The parser of all commands; `takes_config` says who reads --config.x=y."""
  style = {
    "epilog": EXAMPLES,
    "formatter_class": argparse.RawDescriptionHelpFormatter,
    "allow_abbrev": False,
  }
  made = argparse.ArgumentParser(
    prog="bnnjax",
    description="Binary neural networks in JAX: train, evaluate, count.",
    **style,
  )
  commands = made.add_subparsers(dest="command", required=True)
  for name, (about, *arguments) in COMMANDS.items():
    sub = commands.add_parser(name, help=about, description=about, **style)
    for flag, options in (*arguments, *SHARED):
      sub.add_argument(flag, **options)
    sub.set_defaults(takes_config=any(f == "--config" for f, _ in arguments))
  return made
