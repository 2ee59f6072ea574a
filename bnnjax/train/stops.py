"""Stopping a run from outside: signals, and what the loop asks at every step."""

import os
import signal
import sys
import threading
from collections.abc import Callable

# Preemption and `kill` send the first, Ctrl-C the second.
SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SHOW_CURSOR = "\x1b[?25h"  # a progress bar hides it


class Stopped(KeyboardInterrupt):
  """A signal stopped a run, which is saved.

  Attributes:
    exit_code: 128 plus the signal's number, as in shells: 130 after SIGINT, 143
      after SIGTERM.

  Args:
    number: of the signal.
    step, steps: taken, and of the whole run.
  """

  def __init__(self, number: int, step: int, steps: int):
    super().__init__(
      f"Stopped by {name(number)} at step {step} of {steps}, saved. The same"
      " command resumes the run."
    )
    self.exit_code = exit_code(number)


def exit_code(number: int) -> int:
  """Exit status of a program that a signal ended, as in shells."""
  return 128 + number


class Signals:
  """While it is entered, SIGTERM and SIGINT only ask the run to stop.

  `should_stop(step)` is true after the first signal; the loop then saves and
  raises `Stopped`. A second signal ends the process at once. A thread of its own
  watches for both: Python runs a handler only between two of its instructions,
  and a compilation is one instruction.

  It does nothing in a thread other than the main one, which receives no signals.

  Args:
    end: called with the exit status at the second signal.
  """

  def __init__(self, end: Callable[[int], None] = os._exit):
    self._end = end
    self.number: int | None = None  # of the signal that came

  def __enter__(self) -> "Signals":
    self._old, self._read = {}, None
    if threading.current_thread() is not threading.main_thread():
      return self
    self._read, self._write = os.pipe()
    os.set_blocking(self._write, False)
    self._old_wakeup = signal.set_wakeup_fd(self._write)
    for number in SIGNALS:
      if signal.getsignal(number) is signal.SIG_IGN:
        continue  # a shell has put this job in the background
      # A handler has to be there for Python to pass the signal on.
      self._old[number] = signal.signal(number, lambda *_: None)
    self._thread = threading.Thread(target=self._watch, daemon=True)
    self._thread.start()
    return self

  def __exit__(self, *_) -> None:
    if not self._read:
      return
    for number, handler in self._old.items():
      # None: the handler was not set by Python and cannot be read.
      signal.signal(number, signal.SIG_DFL if handler is None else handler)
    signal.set_wakeup_fd(self._old_wakeup)
    os.write(self._write, b"\0")
    self._thread.join()
    os.close(self._read)
    os.close(self._write)

  def should_stop(self, step: int) -> bool:
    """Whether the run is to save and end after optimizer step `step`.

    The loop asks after every step, on every process: here several hosts of one
    run agree on the step.
    """
    del step
    return self.number is not None

  def _watch(self) -> None:
    while number := os.read(self._read, 1)[0]:
      if number not in SIGNALS:
        continue  # another handler's signal
      if self.number is not None:
        self._say("Stopped at once, nothing more is saved.")
        self._end(exit_code(number))
        continue
      self.number = number
      self._say(
        f"{name(number)}: saves after this step and stops; a second one stops at"
        " once."
      )

  @staticmethod
  def _say(text: str) -> None:
    # Not `print`: the main thread may hold its lock.
    shown = _SHOW_CURSOR if sys.stdout.isatty() else ""
    os.write(2, f"{shown}\n{text}\n".encode())


def name(number: int) -> str:
  """E.g. `SIGTERM`."""
  return signal.Signals(number).name
