"""`bnnjax train | eval | sample | cost | sweep ...`: dispatch, and errors.

What can be checked without jax is checked before it is imported: flags, paths,
names of config fields.
"""

import contextlib
import json
import logging
import os
import signal
import sys
import textwrap
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from bnnjax import arguments, checks, errors
from bnnjax.errors import UserError

RUNS = "runs"  # where runs go unless --workdir says otherwise
WIDTH = 100
USER, FAULT, INTERRUPTED, UNREAD, TERMINATED = 2, 70, 130, 141, 143


class Terminated(BaseException):
  """SIGTERM, where nothing has to be saved first."""

  exit_code = TERMINATED

  def __str__(self):
    return "Stopped."


def program() -> int:
  """`main` as a program of its own, which signals end where nothing is to save.

  At once, and without what Python does at its end: an exception out of a signal
  leaves jaxlib inside an import or a compilation, and it crashes when it is
  torn down there (SIGSEGV instead of the exit code).
  """
  for number in (signal.SIGINT, signal.SIGTERM):
    if signal.getsignal(number) is not signal.SIG_IGN:  # of a job in background
      signal.signal(number, _end)
  return main()


def _end(number: int, frame: Any) -> None:
  del frame
  # A write that the signal has interrupted cannot be entered again.
  with contextlib.suppress(OSError, RuntimeError, ValueError):
    sys.stdout.flush()
  os.write(2, b"Stopped.\n")
  os._exit(128 + number)


def main(argv: Sequence[str] | None = None) -> int:
  """Runs one command; its exit code, which `bnnjax -h` lists.

  An error is one paragraph on stderr: of what the person can mend, or that it is
  a fault of ours.

  Raises:
    SystemExit: after `-h`.
  """
  argv = list(sys.argv[1:] if argv is None else argv)
  debug = "--debug" in argv
  known = argv[:1] if argv[:1] and argv[0] in COMMANDS else []
  command, args = " ".join(["bnnjax", *known]), None
  try:
    args = arguments.parse(argv)
    with _terminable(), _own_words(command, debug):
      status = _run(args)
      if sys.stdout:  # None where it was closed before the start
        sys.stdout.flush()
      return status
  except BaseException as error:
    if args is None and isinstance(error, SystemExit):
      raise  # after -h; in somebody's file it is an error
    if debug:
      traceback.print_exc()
    return _failed(error, command, debug)


def _failed(error: BaseException, command: str, debug: bool) -> int:
  """Says what became of a command; its exit code."""
  # A run that is stopped says by itself what it has saved, and its code.
  code = getattr(error, "exit_code", None)
  if isinstance(error, KeyboardInterrupt) and code is None:
    code, error = INTERRUPTED, "Stopped."
  if isinstance(code, int):
    _say(str(error))
    return code
  if isinstance(error, BrokenPipeError):
    # What is left in the buffer goes nowhere, without another error at exit.
    with contextlib.suppress(OSError, ValueError):
      os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return UNREAD
  text = errors.explain(error)
  code = FAULT if text is None else USER
  _say(f"{command}: {errors.fault(error) if text is None else text}")
  if not debug:
    _say("(--debug shows where.)")
  return code


def _say(text: str) -> None:
  text = errors.one_paragraph(text)
  if sys.stderr is None:
    return
  with contextlib.suppress(OSError, ValueError):  # nobody listens any more
    print(
      textwrap.fill(
        text, WIDTH, break_long_words=False, break_on_hyphens=False
      ),
      file=sys.stderr,
    )


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
  """SIGTERM ends the command like Ctrl-C; training has a handler of its own."""

  def stop(number, frame):
    raise Terminated

  main_thread = threading.current_thread() is threading.main_thread()
  if not main_thread or signal.getsignal(signal.SIGTERM) is _end:
    yield
    return
  before = signal.signal(signal.SIGTERM, stop)
  try:
    yield
  finally:
    signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


class _Unraisable:
  """A hook that keeps quiet of reads that come back when nobody waits for them.

  Args:
    before: the hook for everything else.
  """

  def __init__(self, before):
    self._before = before

  def __call__(self, unraisable):
    if str(unraisable.exc_value) != "Event loop is closed":
      self._before(unraisable)


@contextlib.contextmanager
def _own_words(command: str, debug: bool) -> Iterator[None]:
  """Warnings as a line of ours each; no remarks of orbax, which logs to absl."""
  if not debug:
    # Where a disk is full or a checkpoint damaged, each task of orbax's that
    # failed says so once more when it is forgotten, be that after the command.
    for name in ("asyncio", "concurrent.futures"):
      logging.getLogger(name).setLevel(logging.CRITICAL)
    if not isinstance(sys.unraisablehook, _Unraisable):
      sys.unraisablehook = _Unraisable(sys.unraisablehook)
  log = logging.getLogger("absl")
  level = log.level

  def show(message, category, filename, lineno, file=None, line=None):
    _say(f"{command}: warning: {message}")

  with warnings.catch_warnings():
    if not debug:
      warnings.showwarning = show
      log.setLevel(logging.CRITICAL)  # its errors are raised, too
    try:
      yield
    finally:
      log.setLevel(level)


def _run(args) -> int:
  """Checks what needs no jax, registers all names, then runs the command."""
  checks.check(args)
  load = checks.loaded(args)

  import bnnjax.methods  # noqa: F401 (registers them)
  from bnnjax.train import config_file

  for file in load:
    config_file.run(file)
  return COMMANDS[args.command](args)


def _sweep(args) -> int:
  from bnnjax.train import sweep

  print(f"records: {sweep.run(args.experiment, args.record, RUNS, args.load)}")
  return 0


def _new(args) -> int:
  from bnnjax import skeleton

  for path in skeleton.write(args.method, args.arxiv):
    print(path)
  return 0


def _report(args) -> int:
  from pathlib import Path

  from bnnjax.report import markers, methods, tables

  file = Path(args.file)
  try:
    old = file.read_bytes().decode()
  except UnicodeDecodeError as error:
    raise UserError(f"{args.file} is not UTF-8 text ({error}).") from error
  makers = {
    **tables.makers(file.parent),
    "methods": lambda _: methods.method_table(),
  }
  new, found = markers.replace(old, makers)
  if not found:
    raise UserError(
      f"{args.file} has no markers, between which tables are written:"
      f" {markers.SYNTAX} See `bnnjax report -h`."
    )
  if args.check:
    print(f"{args.file} is {'up to date' if old == new else 'stale'}")
    return int(old != new)
  if old != new:
    file = file.resolve()  # a link stays one
    draft = file.with_name(f"{file.name}.new")
    draft.write_bytes(new.encode())
    draft.replace(file)  # a full disk leaves the old one
  return 0


def _train(args) -> int:
  from bnnjax.train import config_fields, config_file

  if args.distributed:
    _join()
  name = config_file.name_of(args.config)
  config = config_file.read(args.config, args.overrides, args.load)
  if args.fields:
    from bnnjax.train import config as config_lib

    print(config_fields.listing(config_lib.resolve(config)))
    return 0
  from bnnjax.train import loop

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


def _join() -> None:
  """Makes this process one of several hosts."""
  import jax

  try:
    jax.distributed.initialize()
  except (RuntimeError, ValueError) as error:
    raise UserError(f"--distributed: jax says: {error}") from error


def _eval(args) -> int:
  from bnnjax.train import evaluate

  for key, value in evaluate.evaluate(args.workdir, args.checkpoint).items():
    print(f"{key:>13}  {value:.4f}")
  return 0


def _sample(args) -> int:
  from bnnjax.train import sample

  if not sample.is_text(args.workdir):
    return _write_samples(args)
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


def _write_samples(args) -> int:
  """The samples of a task without prompts."""
  from bnnjax.train import sample

  plain = vars(arguments.parse(["sample", f"--workdir={args.workdir}"]))
  read = {"batch", "seed", "checkpoint", "load", "debug"}
  for key, value in vars(args).items():
    if key not in read and value != plain[key]:
      raise UserError(
        f"--{key.replace('_', '-')} is of texts, which the task of"
        f" {args.workdir} does not write: leave it out."
      )
  path, drawn = sample.write(
    args.workdir, args.batch, seed=args.seed, checkpoint=args.checkpoint
  )
  print(f"{path}  {drawn.dtype} {list(drawn.shape)}")
  return 0


def _cost(args) -> int:
  reports = _counted(args)
  report = reports[0]
  if args.compare:
    compared = report.compare(reports[1])
    print(json.dumps(compared.to_json(), indent=2) if args.json else compared)
  elif args.json:
    print(json.dumps(report.to_json(definitions=True), indent=2))
  else:
    print(report.table("csv" if args.csv else "rich", by=args.by))
  return 0


def _counted(args) -> list[Any]:
  """The reports that a `cost` command asks for."""
  from bnnjax.cost import named_function
  from bnnjax.train import config_file
  from bnnjax.train.plan import Plan

  if args.function:
    return [named_function.count(args.function, args.shape, args.params)]
  reports = []
  for spec in args.compare or [args.config]:
    config = config_file.read(spec, args.overrides, args.load)
    plan = Plan(config)
    plan.check_used()
    reports.append(plan.report())
  return reports


def _list(args) -> int:
  from bnnjax import listing

  print(listing.of(args.name))
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
