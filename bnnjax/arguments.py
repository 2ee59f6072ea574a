"""The command line's arguments, as a table; `bnnjax.cli` runs the commands."""

import argparse
import itertools
from collections.abc import Sequence

from bnnjax.errors import UserError, nearest, unknown
from bnnjax.report import markers

MINI = "configs/fashion_mnist_mini_pokebnn.py"
PLAYS = "configs/plays_lm.py"
# Of each command; a test runs their config files.
EXAMPLES = {
  "train": f"""\
  bnnjax train --config={MINI}
  bnnjax train --config={MINI}:smoke \\
      --config.optim.lr=1e-3 --workdir=runs/trial
  bnnjax train --config={PLAYS}:method=float --config.model.act=ste
  bnnjax train --config={PLAYS} --fields
""",
  "eval": """\
  bnnjax eval --workdir=runs/trial
  bnnjax eval --workdir=runs/trial --checkpoint=best
""",
  "sample": """\
  bnnjax sample --workdir=runs/plays_lm-method=float
  bnnjax sample --workdir=runs/plays_lm-method=float \\
      --prompt="ROMEO. " --top-p=0.9 --tokens=500
  bnnjax sample --workdir=runs/plays_lm-method=float \\
      --prompt="ROMEO. " --prompt="JULIET. " --batch=2 --stop="."
""",
  "cost": f"""\
  bnnjax cost --config=configs/imagenet_pokebnn.py:width=1.0 --json
  bnnjax cost --compare {MINI} {MINI}:float
  bnnjax cost jax.numpy:dot --shape=3,8 --shape=8,5 --params=1
""",
  "sweep": """\
  bnnjax sweep experiments/fashion_mnist_mini_pokebnn.py
""",
  "report": f"""\
  bnnjax report README.md
  bnnjax report README.md --check

Between these markers of the markdown file stands what is generated; each is on
a line of its own, FILE is a path beside the markdown file or in a folder there:
{markers.SYNTAX}""",
  "new": """\
  bnnjax new my_sign --arxiv=2112.00133
""",
  "list": """\
  bnnjax list
  bnnjax list estimator
  bnnjax list reste
""",
}
CODES = """\
exit codes:
  0    done
  1    `report --check`: the file is stale
  2    something given is wrong; one paragraph says what
  70   a fault of bnnjax
  130  stopped by Ctrl-C (SIGINT), 143 by SIGTERM
  141  nobody reads the output any more (SIGPIPE)

Config files, experiments and files of --load are Python programs that are run:
give only those that you trust. So are the files of --load that a run was
trained with, which `eval` and `sample` run again.
"""
KINDS = {
  "method": "what one paper prescribes",
  "estimator": "low-bit values and their surrogate gradient",
  "scale": "float factor of low-bit values",
  "transform": "what happens to a tensor before it is binarized",
  "schedule": "hyper-parameter that follows the run",
  "output": "scale of a layer's output",
  "grad": "quantizer of a layer's gradients",
  "projection": "what happens to latent weights after an update",
  "model": "network of `config.model`",
  "task": "loss and evaluation of `config.task`",
  "distance": "distance of student and teacher",
  "source": "data set of `config.data`",
  "augment": "change to images before they meet the model",
  "collector": "what is kept of the inputs of layers",
}


CONFIG = (
  "--config",
  {
    "metavar": "FILE[:ARG,...]",
    "help": "config file, a Python program that is run, and its arguments (its"
    " docstring names them); --config.FIELD=VALUE overrides a field, the last of"
    " one name wins (`bnnjax train --config=FILE --fields` lists them)",
  },
)
SHARED = (
  (
    "--load",
    {
      "action": "append",
      "default": [],
      "metavar": "FILE",
      "help": "run a Python file first, for the names that it registers; a run"
      " remembers it",
    },
  ),
  ("--debug", {"action": "store_true", "help": "show an error's traceback"}),
)
COMMANDS = {
  "train": (
    "Train, evaluate and record one run.",
    CONFIG,
    (
      "--fields",
      {
        "action": "store_true",
        "help": "list the config's fields with type, default and meaning; train"
        " nothing",
      },
    ),
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
    ("--workdir", {"help": "folder of the run"}),
    (
      "--checkpoint",
      {"default": "last", "metavar": "last|best", "help": "which one (last)"},
    ),
  ),
  "sample": (
    "Let a trained language model go on from a prompt; other tasks' samples go to"
    " a file.",
    ("--workdir", {"help": "folder of the run"}),
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
        "help": "texts of a prompt (several appear at the end), or samples",
      },
    ),
    ("--seed", {"type": int, "default": 0, "help": "another: other texts"}),
    (
      "--checkpoint",
      {"default": "last", "metavar": "last|best", "help": "which one (last)"},
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
        "default": "layer",
        "metavar": "layer|scope|bits",
        "help": "rows of the table (layer)",
      },
    ),
  ),
  "sweep": (
    "Train every config that an experiment yields.",
    (
      "experiment",
      {"nargs": "?", "help": "Python file with a function sweep()"},
    ),
    ("--record", {"help": "records (default: results/NAME.jsonl beside it)"}),
  ),
  "report": (
    "Regenerate the tables of a markdown file from records.",
    ("file", {"nargs": "?", "default": "README.md", "help": "markdown file"}),
    ("--check", {"action": "store_true", "help": "only say if up to date"}),
  ),
  "new": (
    "Write the two skeleton files of a new method.",
    ("method", {"nargs": "?", "help": "its name, e.g. my_sign"}),
    ("--arxiv", {"help": "identifier of the paper"}),
  ),
  "list": (
    "List what configs can name, or say what one name means and takes.",
    (
      "name",
      {
        "nargs": "?",
        "metavar": "KIND|NAME",
        "help": f"a kind ({', '.join(KINDS)}), or a name of any kind",
      },
    ),
  ),
}


# What a command cannot do without, and what one of few words may be.
NEEDED = {
  "train": ("--config",),
  "eval": ("--workdir",),
  "sample": ("--workdir",),
  "sweep": ("experiment",),
  "new": ("method", "--arxiv"),
}
CHOICES = {
  "--checkpoint": ("last", "best"),
  "--by": ("layer", "scope", "bits"),
}


class _Parser(argparse.ArgumentParser):
  """Raises a `UserError` where argparse prints its usage and exits."""

  def error(self, message):
    raise UserError(
      f"{message[:1].upper()}{message[1:]}; see `{self.prog} -h`."
    )


def parser() -> argparse.ArgumentParser:
  """The parser of all commands."""
  style = {
    "formatter_class": argparse.RawDescriptionHelpFormatter,
    "allow_abbrev": False,
  }
  lines = (text.splitlines()[0] for text in EXAMPLES.values())
  made = _Parser(
    prog="bnnjax",
    description="Binary neural networks in JAX: train, evaluate, count.",
    epilog="\n".join(["examples:", *lines, "", CODES]),
    **style,
  )
  commands = made.add_subparsers(dest="command", metavar="COMMAND")
  for name, (about, *arguments) in COMMANDS.items():
    sub = commands.add_parser(
      name,
      help=about,
      description=about,
      epilog=f"examples:\n{EXAMPLES[name]}",
      **style,
    )
    for flag, options in (*arguments, *SHARED):
      sub.add_argument(flag, **options)
  return made


def parse(argv: Sequence[str]) -> argparse.Namespace:
  """The arguments of a command line, overrides of config fields beside them.

  Raises:
    UserError: no such command or flag (with the nearest name), or one that is
      missing or of another type.
    SystemExit: after `-h`.
  """
  command = argv[0] if argv else None
  if command is None:
    raise UserError(f"Give a command: {', '.join(COMMANDS)}; see `bnnjax -h`.")
  if command not in COMMANDS and command not in ("-h", "--help"):
    raise unknown("command", command, COMMANDS)
  rest, overrides = _split(argv)
  args, strangers = parser().parse_known_args(rest)
  flags = [f for f, _ in (*COMMANDS[command][1:], *SHARED)]
  if overrides and "--config" not in flags:
    strangers = [overrides[0], *strangers]
  if strangers:
    what = strangers[0].partition("=")[0]
    near = nearest(what, [f for f in flags if f.startswith("-")])
    raise UserError(
      f"Unknown argument {what!r}.{near} See `bnnjax {command} -h`."
    )
  for flag in flags:
    if f"{flag}=--" in rest:  # which argparse takes for no value
      raise UserError(f"{flag} needs a value, got '--'.")
  for name in NEEDED.get(command, ()):
    if not getattr(args, name.lstrip("-")):
      shown = f"{name}=..." if name.startswith("-") else f"the {name}"
      example = EXAMPLES[command].splitlines()[0].strip()
      raise UserError(f"Give {shown}, e.g. `{example}`.")
  for name, choices in CHOICES.items():
    value = getattr(args, name.lstrip("-"), None)
    if value is not None and value not in choices:
      raise unknown(name, value, choices)
  args.overrides = overrides
  return args


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
  """The command line without its overrides; these, --config.x=value."""
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
