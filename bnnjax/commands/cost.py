"""`bnnjax cost`."""

import argparse
import json
from typing import Any

from bnnjax.commands.command import CONFIG, Command, argument, check_config
from bnnjax.errors import UserError

MINI = "configs/fashion_mnist_mini_pokebnn.py"
EXAMPLES = f"""\
  bnnjax cost --config=configs/imagenet_pokebnn.py:width=1.0 --json
  bnnjax cost --compare {MINI} {MINI}:float
  bnnjax cost jax.numpy:dot --shape=3,8 --shape=8,5 --params=1
"""


def check(args: argparse.Namespace) -> None:
  """Raises if flags do not go together, or a config is wrong."""
  for spec in filter(None, (args.config, *(args.compare or ()))):
    check_config(spec, args)
  given = [n for n in ("config", "function", "compare") if getattr(args, n)]
  if len(given) != 1:
    raise UserError(
      "Give one of --config=FILE, --compare A B or MODULE:FUNCTION with"
      f" --shape; got {' and '.join(given) or 'none'}."
    )
  if args.function and args.overrides:
    raise UserError(
      f"{args.overrides[0].partition('=')[0]} belongs to --config or --compare."
    )
  if (args.shape or args.params) and not args.function:
    raise UserError("--shape and --params belong to MODULE:FUNCTION.")


def run(args: argparse.Namespace) -> int:
  """Prints a cost report, or two of them side by side."""
  reports = _reports(args)
  report = reports[0]
  if args.compare:
    compared = report.compare(reports[1])
    print(json.dumps(compared.to_json(), indent=2) if args.json else compared)
  elif args.json:
    print(json.dumps(report.to_json(), indent=2))
  else:
    print(report.table("csv" if args.csv else "rich", by=args.by))
  return 0


def _reports(args: argparse.Namespace) -> list[Any]:
  """One report, or two to compare."""
  from bnnjax.cost import named_function
  from bnnjax.train import config_file
  from bnnjax.train.plan import Plan

  if args.function:
    return [named_function.count(args.function, args.shape, args.params)]
  reports = []
  for spec in args.compare or [args.config]:
    config = config_file.read_unresolved(spec, args.overrides, args.load)
    plan = Plan(config)
    plan.check_used()
    reports.append(plan.report())
  return reports


COMMAND = Command(
  "Count the deployed network of a config, or any function; needs no data.",
  EXAMPLES,
  run,
  arguments=(
    CONFIG,
    argument(
      "function",
      "code of your own: a function or module object to trace",
      metavar="MODULE:FUNCTION",
    ),
    argument(
      "--shape",
      "shape of the function's first argument; give it again for the next",
      action="append",
      default=[],
      metavar="N,H,W,C[:DTYPE]",
    ),
    argument(
      "--params",
      "which arguments of the function are parameters, e.g. 0,2",
      default="",
      metavar="I,J",
    ),
    argument(
      "--compare",
      "two configs side by side, B as a ratio of A",
      nargs=2,
      metavar=("A", "B"),
    ),
    argument("--json", "print JSON", action="store_true"),
    argument("--csv", "print CSV", action="store_true"),
    argument(
      "--by", "rows of the table", default="layer", metavar="layer|scope|bits"
    ),
  ),
  check=check,
)
