"""Progress bars with a text: in a terminal, and in the output of a notebook."""

import html
import sys
from typing import Any

from rich import console as rich_console
from rich import progress as rich_progress
from rich import table as rich_table


def make(steps: int, start: int = 0) -> Any:
  """The bar of the place where the program runs; `None` if it has none."""
  if in_notebook():
    return NotebookBar(steps, start)
  return TerminalBar(steps, start) if sys.stdout.isatty() else None


def in_notebook() -> bool:
  """Whether the program runs in the kernel of a notebook."""
  shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
  return getattr(shell, "kernel", None) is not None


class TerminalBar:
  """A bar below the lines of a terminal.

  Args:
    steps: of the run.
    start: step that the run starts or resumes at.
  """

  def __init__(self, steps: int, start: int = 0):
    self._bar = rich_progress.Progress(
      "{task.description}",
      rich_progress.BarColumn(bar_width=16),
      rich_progress.MofNCompleteColumn(),
      rich_progress.TimeRemainingColumn(),
      # In a narrow terminal this column wraps and the others stay whole.
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

  def update(self, step: int, text: str) -> None:
    """Draws the bar again."""
    self._bar.update(self._task, completed=step, text=text)

  def line(self, text: str) -> None:
    """Prints a line that stays."""
    self._bar.console.print(text, highlight=False)

  def stop(self) -> None:
    self._bar.stop()


class NotebookBar:
  """A bar with a text, which is redrawn in place.

  It needs no widgets.

  Args:
    steps: value of the full bar.
    start: value at first.
  """

  def __init__(self, steps: float, start: float = 0):
    from IPython import display  # of the kernel

    self._steps = steps
    first = self._drawn(start, "")
    self._shown = display.display(first, raw=True, display_id=True)

  def update(self, step: float, text: str) -> None:
    """Draws the bar again."""
    self._shown.update(self._drawn(step, text), raw=True)

  def line(self, text: str) -> None:
    """Prints a line that stays."""
    print(text, flush=True)

  def stop(self) -> None:
    pass

  def _drawn(self, step: float, text: str) -> dict[str, str]:
    bar = f'<progress value="{step:.4g}" max="{self._steps:g}"></progress>'
    return {
      "text/html": f"{bar} {html.escape(text)}",
      "text/plain": f"{step:.4g}/{self._steps:g} {text}",
    }
