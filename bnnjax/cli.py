"""`bnnjax train | eval | cost | list`: dispatch only."""

import argparse
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from bnnjax.core import registry

EXAMPLES = """\
examples:
  bnnjax train --config=configs/fashion_mnist_mini_pokebnn.py
  bnnjax train --config=configs/fashion_mnist_mini_pokebnn.py:smoke \\
      --config.optim.lr=1e-3 --workdir=runs/trial
  bnnjax eval --workdir=runs/trial --checkpoint=best
  bnnjax cost --config=configs/imagenet_pokebnn.py:width=1.0 --json
  bnnjax list estimator
"""
RUNS = "runs"  # where runs go unless --workdir says otherwise
KINDS = (
  "method", "estimator", "scale", "transform", "output", "model", "task",
  "source", "augment",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
  """Runs one command; user errors are one paragraph on stderr and exit 2."""
  parser = _parser()
  args, rest = parser.parse_known_args(argv)
  if rest and not getattr(args, "takes_config", False):
    parser.error(
      f"unknown argument {rest[0]!r}; see `bnnjax {args.command} -h`"
    )
  if args.debug:
    return _run(args, rest)
  try:
    return _run(args, rest)
  except (
    ValueError,
    TypeError,
    FileNotFoundError,
    ImportError,
    FloatingPointError,
  ) as e:
    message = " ".join(str(e).split())
    print(
      textwrap.fill(f"bnnjax {args.command}: {message}", 100), file=sys.stderr
    )
    print("(--debug shows where.)", file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    print(
      "Stopped. The same command goes on from the last checkpoint.",
      file=sys.stderr,
    )
    return 130


def _run(args, rest) -> int:
  """Registers all names, then runs the command."""
  import runpy

  import bnnjax.methods  # noqa: F401 (registers them)

  for file in args.load:
    runpy.run_path(file)
  return args.run(args, rest)


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog="bnnjax",
    description="Binary neural networks in JAX: train, evaluate, count.",
    epilog=EXAMPLES,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  commands = parser.add_subparsers(dest="command", required=True)

  def command(name, run, help_, config=False):
    sub = commands.add_parser(
      name,
      help=help_,
      description=help_,
      epilog=EXAMPLES,
      formatter_class=argparse.RawDescriptionHelpFormatter,
      allow_abbrev=False,
    )
    if config:
      sub.add_argument(
        "--config",
        metavar="FILE[:ARG,...]",
        required=name == "train",
        help="config file and its arguments; --config.FIELD=VALUE overrides a"
        " field (the file's docstring names arguments, `bnnjax.train.config`"
        " the fields)",
      )
    sub.add_argument(
      "--load",
      action="append",
      default=[],
      metavar="FILE",
      help="run a Python file first, for the estimators and methods it registers",
    )
    sub.add_argument(
      "--debug", action="store_true", help="show the traceback of an error"
    )
    sub.set_defaults(run=run, takes_config=config)
    return sub

  train = command("train", _train, "Train, evaluate and record one run.", True)
  train.add_argument(
    "--workdir",
    help="folder of the run (default: runs/CONFIG); a stopped run goes on there",
  )
  train.add_argument(
    "--record",
    help="file that the run's record is appended to (default:"
    " WORKDIR/record.jsonl)",
  )
  train.add_argument(
    "--distributed",
    action="store_true",
    help="call jax.distributed.initialize() first (several hosts)",
  )
  evaluate = command("eval", _eval, "Evaluate the checkpoint of a run.")
  evaluate.add_argument("--workdir", required=True, help="folder of the run")
  evaluate.add_argument(
    "--checkpoint", choices=("last", "best"), default="last", help="which one"
  )
  cost = command(
    "cost",
    _cost,
    "Count the deployed network of a config, or any function; needs no data.",
    True,
  )
  cost.add_argument(
    "function",
    nargs="?",
    metavar="MODULE:FUNCTION",
    help="code that is not ours: a function, or a module object, to be traced",
  )
  cost.add_argument(
    "--shape",
    action="append",
    default=[],
    metavar="N,H,W,C[:DTYPE]",
    help="shape of an argument of the function; once for each",
  )
  cost.add_argument(
    "--params",
    default="",
    metavar="I,J",
    help="which arguments of the function are parameters, e.g. 0,2",
  )
  cost.add_argument(
    "--compare",
    nargs=2,
    metavar=("A", "B"),
    help="two configs side by side, B as a ratio of A",
  )
  form = cost.add_mutually_exclusive_group()
  form.add_argument("--json", action="store_true", help="print JSON")
  form.add_argument("--csv", action="store_true", help="print CSV")
  cost.add_argument(
    "--by", choices=("layer", "scope", "bits"), default="layer", help="rows"
  )
  sweep = command(
    "sweep", _sweep, "Train every config that an experiment yields."
  )
  sweep.add_argument("experiment", help="Python file with a function sweep()")
  sweep.add_argument(
    "--record", help="records (default: experiments/results/NAME.jsonl)"
  )
  report = command(
    "report", _report, "Regenerate the tables of a markdown file from records."
  )
  report.add_argument("file", nargs="?", default="README.md")
  report.add_argument(
    "--check", action="store_true", help="only say whether it is up to date"
  )
  new = command("new", _new, "Write the two skeleton files of a new method.")
  new.add_argument("method", help="its name, e.g. my_sign")
  new.add_argument("--arxiv", required=True, help="identifier of the paper")
  names = command("list", _list, "List what configs can name.")
  names.add_argument("kind", nargs="?", help=f"one of {', '.join(KINDS)}")
  return parser


def _sweep(args, rest) -> int:
  from bnnjax.train import sweep

  print(f"records: {sweep.run(args.experiment, args.record, RUNS)}")
  return 0


def _new(args, rest) -> int:
  from bnnjax import skeleton

  for path in skeleton.write(args.method, args.arxiv):
    print(path)
  return 0


def _report(args, rest) -> int:
  from pathlib import Path

  from bnnjax.report import methods, tables

  file = Path(args.file)
  old = file.read_text()
  new = methods.refresh(tables.refresh(old, file.parent))
  if args.check:
    print(f"{file} is {'up to date' if old == new else 'stale'}")
    return int(old != new)
  file.write_text(new)
  return 0


def _train(args, rest) -> int:
  import jax

  from bnnjax.train import config_file, loop

  if args.distributed:
    jax.distributed.initialize()
  name = config_file.name_of(args.config)
  config = config_file.read(args.config, rest)
  workdir = args.workdir or f"{RUNS}/{name}"
  result = loop.train(config, workdir, name=name, record=args.record)
  if result.resumed:
    print("This run was finished before; delete its workdir to train again.")
  report = result.report
  bits = ", ".join(f"{k} {v:,}" for k, v in report.macs_by_name.items())
  lines = {
    **{f"test {k}": f"{v:.4f}" for k, v in result.metrics.items()},
    "ACE": f"{report.ace:,}",
    "BOPs": f"{report.bops:,}",
    "MACs": bits,
    "weight bytes": f"{report.weight_bytes():,}",
    "checkpoint": result.checkpoint,
    "record": result.record,
  }
  for key, value in lines.items():
    print(f"{key:>13}  {value}")
  print("ACE: sum of MACs x w_bits x a_bits, floats as 16. BOPs: the 1x1-bit")
  print("MACs. Weight bytes: kernels at their deployed width. One example.")
  return 0


def _eval(args, rest) -> int:
  from bnnjax.train import loop

  for key, value in loop.evaluate(args.workdir, args.checkpoint).items():
    print(f"{key:>13}  {value:.4f}")
  return 0


def _cost(args, rest) -> int:
  import json

  reports = _counted(args, rest)
  report = reports[0]
  if args.compare:
    compared = report.compare(reports[1])
    print(json.dumps(compared.to_json(), indent=2) if args.json else compared)
  elif args.json:
    print(json.dumps(report.to_json(), indent=2))
  else:
    print(report.table("csv" if args.csv else "rich", by=args.by))
  return 0


def _counted(args, rest) -> list[Any]:
  """The reports that a `cost` command asks for."""
  from bnnjax.cost import target
  from bnnjax.train import config_file, setup

  given = [n for n in ("config", "function", "compare") if getattr(args, n)]
  if len(given) != 1:
    raise ValueError(
      "Give one of --config=FILE, --compare A B or MODULE:FUNCTION with"
      f" --shape; got {' and '.join(given) or 'none'}."
    )
  if args.function:
    return [target.count(args.function, args.shape, args.params)]
  specs = args.compare or [args.config]
  return [setup.cost_of(config_file.read(spec, rest)) for spec in specs]


def _list(args, rest) -> int:
  from bnnjax import data, models, tasks  # noqa: F401 (register theirs)

  if args.kind is not None and args.kind not in KINDS:
    raise registry.unknown("kind", args.kind, KINDS)
  for kind in (args.kind,) if args.kind else KINDS:
    print(f"{kind}:")
    for name in registry.registered(kind):
      thing = registry.get(kind, name)
      text = getattr(thing, "paper", None) or thing.__doc__ or ""
      print(
        f"  {name:22}{text.strip().splitlines()[0] if text.strip() else ''}"
      )
  return 0


if __name__ == "__main__":
  sys.exit(main())
