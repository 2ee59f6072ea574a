"""The program `bnnjax`: dispatch, signals, errors and exit codes.

`bnnjax.commands` holds the commands. Flags, paths and names of config fields
are checked before jax is imported.
"""

import argparse
import contextlib
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

from bnnjax import arguments, errors, plugin_files
from bnnjax.commands import COMMANDS

WIDTH = 100
USER, FAULT, INTERRUPTED, UNREAD, TERMINATED = 2, 70, 130, 141, 143


class Terminated(BaseException):
  """SIGTERM, in a command that has nothing to save."""

  exit_code = TERMINATED

  def __str__(self):
    return "Stopped."


def program() -> int:
  """Runs `main` as a program; signals end it at once if nothing is to save.

  They skip Python's own clean-up: an exception out of a signal handler leaves
  jaxlib inside an import or a compilation, and tearing jaxlib down there
  crashes (SIGSEGV instead of the exit code).
  """
  for number in (signal.SIGINT, signal.SIGTERM):
    if signal.getsignal(number) is not signal.SIG_IGN:  # a background job
      signal.signal(number, _end)
  return main()


def _end(number: int, frame: Any) -> None:
  del frame
  # A write that the signal interrupted cannot be entered again.
  with contextlib.suppress(OSError, RuntimeError, ValueError):
    sys.stdout.flush()
  os.write(2, b"Stopped.\n")
  os._exit(128 + number)


def main(argv: Sequence[str] | None = None) -> int:
  """Runs one command and returns its exit code; `bnnjax -h` lists the codes.

  An error is one paragraph on stderr: what the person can mend, or that it is a
  fault of ours.

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
      raise  # after -h; in a person's file it is an error
    if debug:
      traceback.print_exc()
    return _failed(error, command, debug)


def _failed(error: BaseException, command: str, debug: bool) -> int:
  """Says why a command ended; returns its exit code."""
  # A stopped run says what it saved, and brings its exit code.
  code = getattr(error, "exit_code", None)
  if isinstance(error, KeyboardInterrupt) and code is None:
    code, error = INTERRUPTED, "Stopped."
  if isinstance(code, int):
    _say(str(error))
    return code
  if isinstance(error, BrokenPipeError):
    # Drops what is left in the buffer, which would raise again at exit.
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
  with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
    print(
      textwrap.fill(
        text, WIDTH, break_long_words=False, break_on_hyphens=False
      ),
      file=sys.stderr,
    )


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
  """Lets SIGTERM end a command like Ctrl-C; training has its own handler."""

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
  """A hook that ignores reads that finish after the loop that wanted them.

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
  """Prints each warning as one line, and hides what orbax logs (to absl)."""
  if not debug:
    # When a disk is full or a checkpoint damaged, every failed task of orbax
    # logs its error again when it is collected, even after the command.
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
      log.setLevel(logging.CRITICAL)  # what it logs as errors, it also raises
    try:
      yield
    finally:
      log.setLevel(level)


def _run(args: argparse.Namespace) -> int:
  """Runs a command: checks without jax first, then registers names if needed."""
  command = COMMANDS[args.command]
  command.check(args)
  load = plugin_files.of(args)
  if command.reads_records(args) and not load:
    return command.run(args)

  import bnnjax.methods  # noqa: F401 (registers them)
  from bnnjax.train import config_file

  for file in load:
    config_file.run(file)
  return command.run(args)


if __name__ == "__main__":
  sys.exit(main())
