"""How a run goes, for a person: a progress bar or plain lines."""

import sys
import time
from collections.abc import Mapping
from typing import Any

from rich import console as rich_console
from rich import progress as rich_progress
from rich import table as rich_table


class Display:
  """Tells a person how the run goes: a bar in a terminal, else plain lines.

  Args:
    steps: of the run.
    start: step that it starts (or goes on) from.
    active: False on processes other than the first.
  """

  EVERY = 30.0  # seconds between plain lines, evaluations apart

  def __init__(self, steps: int, start: int = 0, *, active: bool = True):
    self._steps, self._start, self._active = steps, start, active
    self._opened = self._began = self._last = time.monotonic()
    self._warm = False
    self._bar = None
    if active and sys.stdout.isatty():
      self._bar = rich_progress.Progress(
        "{task.description}",
        rich_progress.BarColumn(bar_width=16),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TimeRemainingColumn(),
        # In a narrow terminal it goes on below, the others stay whole.
        rich_progress.TextColumn(
          "{task.fields[text]}", table_column=rich_table.Column(ratio=1)
        ),
        expand=True,
        console=rich_console.Console(),
      )
      self._task = self._bar.add_task(
        "train", total=steps, completed=start, text=""
      )
      self._bar.start()

  def update(
    self,
    step: int,
    scalars: Mapping[str, Any],
    speeds: Mapping[str, float],
  ) -> None:
    """Shows the metrics of an interval that ended before `step`.

    Args:
      step: of the run.
      scalars: metrics by name.
      speeds: numbers a second of what the names say.
    """
    if not self._warm:  # what compiled until now says nothing of the rest
      self._warm, self._start, self._began = True, step, time.monotonic()
    shown = (f"{_speed(v)} {k}/s" for k, v in speeds.items())
    text = "  ".join([_text(scalars), *shown])
    if self._bar is not None:
      self._bar.update(self._task, completed=step, text=text)
    elif time.monotonic() - self._last > self.EVERY:
      self.line(f"step {step}/{self._steps}  {text}  {self._left(step)}")

  def line(self, text: str) -> None:
    """Prints a line that stays."""
    self._last = time.monotonic()
    if self._bar is not None:
      self._bar.console.print(text, highlight=False)
    elif self._active:
      print(text, flush=True)

  def evaluated(self, step: int, epoch: float, scalars: Mapping[str, Any]):
    """Prints the result of an evaluation."""
    self.line(
      f"epoch {epoch:5.2f}  step {step}/{self._steps}  {_text(scalars)}"
      f"  {self._left(step)}"
    )

  def close(self) -> None:
    if self._bar is not None:
      self._bar.stop()

  def _left(self, step: int) -> str:
    done = step - self._start
    if step >= self._steps:
      return f"{time.monotonic() - self._opened:.0f} s"
    if not done:
      return ""
    seconds = (time.monotonic() - self._began) / done * (self._steps - step)
    return f"{seconds:.0f} s left"


def _speed(value: float) -> str:
  return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _text(scalars: Mapping[str, Any]) -> str:
  return "  ".join(
    f"{k.replace('_', ' ')} {float(v):.4g}" for k, v in scalars.items()
  )
