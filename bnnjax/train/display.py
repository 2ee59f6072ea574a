"""Shows a run to people: as a progress bar or as plain lines."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from bnnjax.train import bars

PER_SECOND = "_per_s"  # ends the names of speeds


def label(split: str) -> str:
  """What people call the metrics of `data.eval_split`: only the test split tests."""
  return "test" if split == "test" else "eval"


class Display:
  """Shows how a run goes: as a bar if there is one, otherwise as plain lines.

  Args:
    steps: of the run.
    start: step that the run starts or resumes at.
    active: False on processes other than the first.
    bar: an object with the methods of `bars.TerminalBar`; by default there is
      one in a terminal and in a notebook.
  """

  EVERY = 30.0  # seconds between two plain lines of intervals

  def __init__(
    self, steps: int, start: int = 0, *, active: bool = True, bar: Any = None
  ):
    self._steps, self._start, self._active = steps, start, active
    self._opened = self._began = self._last = time.monotonic()
    self._warm = False
    self._bar = (bar or bars.make(steps, start)) if active else None
    if start:
      self.line(f"resuming at step {start}/{steps}")

  def interval(
    self,
    step: int,
    scalars: Mapping[str, Any],
    rate: float,
    shown: Iterable[str],
    more: Mapping[str, float],
  ) -> None:
    """Shows the metrics of an interval, see `writers.Log.interval`.

    These are the metrics named in `shown`, the norm of the gradient, learning
    rates, and steps and examples (for texts: tokens) per second.
    """
    if not self._warm:  # the first interval compiles: it predicts nothing
      self._warm, self._start, self._began = True, step, time.monotonic()
    names = [*shown, "grad_norm"]
    seen = {k: scalars[k] for k in names if k in scalars}
    seen |= {k: v for k, v in more.items() if not k.endswith(PER_SECOND)}
    speeds = {k: v for k, v in more.items() if k.endswith(PER_SECOND)}
    if f"tokens{PER_SECOND}" not in speeds:
      speeds[f"examples{PER_SECOND}"] = rate
    text = _text(seen)
    for name, speed in speeds.items():
      text += f"  {_speed(speed)} {name.removesuffix(PER_SECOND)}/s"
    if self._bar is not None:
      self._bar.update(step, text)
    elif time.monotonic() - self._last > self.EVERY:
      self.line(f"step {step}/{self._steps}  {text}  {self._left(step)}")

  def evaluation(
    self,
    step: int,
    epoch: float,
    train_loss: float | None,
    metrics: Mapping[str, float],
    split: str = "test",
  ) -> None:
    """Prints the result of an evaluation, see `writers.Log.evaluation`."""
    shown = {} if train_loss is None else {"train loss": train_loss}
    shown |= {f"{label(split)} {k}": v for k, v in metrics.items()}
    self.line(
      f"epoch {epoch:5.2f}  step {step}/{self._steps}  {_text(shown)}"
      f"  {self._left(step)}"
    )

  def line(self, text: str) -> None:
    """Prints a line that stays."""
    self._last = time.monotonic()
    if self._bar is not None:
      self._bar.line(text)
    elif self._active:
      print(text, flush=True)

  def close(self) -> None:
    if self._bar is not None:
      self._bar.stop()

  def _left(self, step: int) -> str:
    """The time that is left; at the end, the time that the run took."""
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
