"""One progress bar for several runs, in a notebook."""

import time
from typing import Any

from bnnjax.train.bars import NotebookBar
from bnnjax.train.display import Display


class OneBar:
  """One bar for all the runs of an ablation.

  Args:
    runs: number of them.
  """

  def __init__(self, runs: int):
    self._runs, self._begun, self._on_record = runs, 0, 0
    self._bar, self._started = NotebookBar(runs), time.monotonic()
    self._name = ""

  def begin(
    self, number: int, of: int, name: str, done: bool = False, note: str = ""
  ) -> None:
    """See `sweep.Lines.begin`; runs of several sweeps are counted on."""
    del number, of, note
    self._begun += 1
    self._on_record += done
    self._name = name
    self.update(float(done), "on record" if done else "compiling")

  def display(self, steps: int, start: int = 0, *, active: bool = True) -> Any:
    """What shows one run: its share of the bar."""
    return Display(steps, start, active=active, bar=_Share(self, steps))

  def update(self, share: float, text: str) -> None:
    """Draws the bar; `share` of the current run is done."""
    done = self._begun - 1 + share
    head = f"run {self._begun} of {self._runs}: {self._name}"
    self._bar.update(done, f"{head}  {text}{self._left(done)}")

  def close(self) -> None:
    """Fills the bar."""
    seconds = time.monotonic() - self._started
    self._bar.update(self._runs, f"{self._runs} runs, {seconds:.0f} s")

  def _left(self, done: float) -> str:
    trained = done - self._on_record
    if trained <= 0:
      return ""
    each = (time.monotonic() - self._started) / trained
    return f"  {each * (self._runs - done):.0f} s left"


class _Share:
  """The part of the bar that belongs to one run."""

  def __init__(self, bar: OneBar, steps: int):
    self._bar, self._steps = bar, max(steps, 1)

  def update(self, step: int, text: str) -> None:
    self._bar.update(step / self._steps, text)

  def line(self, text: str) -> None:
    pass  # one bar says enough

  def stop(self) -> None:
    pass
