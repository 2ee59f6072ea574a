"""`bnnjax train | eval | sample | cost | sweep ...`: dispatch only."""

import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from bnnjax import arguments
from bnnjax.core import registry

RUNS = "runs"  # where runs go unless --workdir says otherwise


def main(argv: Sequence[str] | None = None) -> int:
  """Runs one command; user errors are one paragraph on stderr and exit 2."""
  parser = arguments.parser()
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
    OSError,
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
    goes_on = args.command in ("train", "sweep")
    more = " The same command goes on from the last checkpoint."
    print(f"Stopped.{more if goes_on else ''}", file=sys.stderr)
    return 130


def _run(args, rest) -> int:
  """Registers all names, then runs the command."""
  import runpy

  import bnnjax.methods  # noqa: F401 (registers them)

  for file in args.load:
    runpy.run_path(file)
  return COMMANDS[args.command](args, rest)


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
    "weight bytes": f"{report.weight_bytes('deployed'):,}",
    "checkpoint": result.checkpoint,
    "record": result.record,
  }
  for key, value in lines.items():
    print(f"{key:>13}  {value}")
  print("ACE: sum of MACs x w_bits x a_bits, floats as 16. BOPs: the 1x1-bit")
  print("MACs. Weight bytes: everything that is stored. One example.")
  return 0


def _eval(args, rest) -> int:
  from bnnjax.train import evaluate

  for key, value in evaluate.evaluate(args.workdir, args.checkpoint).items():
    print(f"{key:>13}  {value:.4f}")
  return 0


def _sample(args, rest) -> int:
  from bnnjax.train import sample

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
  if args.function and rest:
    raise ValueError(f"Unknown argument {rest[0]}.")
  if (args.shape or args.params) and not args.function:
    raise ValueError("--shape and --params belong to MODULE:FUNCTION.")
  if args.function:
    return [target.count(args.function, args.shape, args.params)]
  specs = args.compare or [args.config]
  configs = [config_file.read(spec, rest) for spec in specs]
  for config in configs:
    setup.check_used(config)
  return [setup.cost_of(config) for config in configs]


def _list(args, rest) -> int:
  from bnnjax import data, models, tasks  # noqa: F401 (register theirs)

  if args.kind is not None and args.kind not in arguments.KINDS:
    raise registry.unknown("kind", args.kind, arguments.KINDS)
  for kind in (args.kind,) if args.kind else arguments.KINDS:
    print(f"{kind}:")
    for name in registry.registered(kind):
      thing = registry.get(kind, name)
      text = getattr(thing, "paper", None) or thing.__doc__ or ""
      print(
        f"  {name:28}{text.strip().splitlines()[0] if text.strip() else ''}"
      )
  return 0


COMMANDS = {
  "train": _train,
  "eval": _eval,
  "sample": _sample,
  "cost": _cost,
  "sweep": _sweep,
  "report": _report,
  "new": _new,
  "list": _list,
}

if __name__ == "__main__":
  sys.exit(main())
