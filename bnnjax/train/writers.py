"""Where the numbers of a run go: files of JSON lines, TensorBoard, a display.

Writers have the methods of clu's `MetricWriter`; clu's own need TensorFlow.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from etils import epath

from bnnjax.train.display import PER_SECOND, Display


class JsonlWriter:
  """Writes one JSON object per line, at once.

  Args:
    file: is made if it is not there.
    start: step that the run resumes at. Lines of later steps, from a session
      that was killed after its last checkpoint, are dropped.

  Raises:
    ValueError: see `check_lines`.
  """

  def __init__(self, file: epath.Path, start: int = 0):
    self._file = file
    truncate(file, start)

  def write(self, step: int, values: Mapping[str, Any]) -> None:
    """Appends a line.

    Raises:
      OSError: names the file. The next `truncate` drops what a full disk has
        left of the line.
    """
    line = json.dumps({"step": step} | dict(values)) + "\n"
    try:
      with open(self._file, "ab") as out:
        out.write(line.encode())
    except OSError as error:
      raise OSError(
        error.errno,
        f"A line cannot be written ({error.strerror}). Make room, or give"
        " permission, and run the same command again",
        os.fspath(self._file),
      ) from error

  def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
    self.write(step, {k: float(v) for k, v in scalars.items()})

  def close(self) -> None:
    pass


def check_lines(file: epath.PathLike) -> None:
  """Checks a file of JSON lines before a run resumes with it.

  The last line may lack its end, as a kill leaves it.

  Raises:
    ValueError: a line is not a JSON object with a step; says which.
  """
  _lines(epath.Path(file))


def truncate(file: epath.Path, step: int) -> None:
  """Drops the JSON lines of later steps, and an unfinished last one.

  A new file replaces the old one, so that no kill can lose the lines that stay.

  Raises:
    ValueError: see `check_lines`.
  """
  if not file.exists():
    return
  kept = b"".join(line for at, line in _lines(file) if at <= step)
  if kept != file.read_bytes():
    draft = file.with_name(file.name + ".new")
    with draft.open("wb") as out:
      out.write(kept)
      out.flush()
      os.fsync(out.fileno())
    draft.replace(file)


def _lines(file: epath.Path) -> list[tuple[int, bytes]]:
  """Pairs of step and line; none if there is no file."""
  if not file.exists():
    return []
  *whole, rest = file.read_bytes().split(b"\n")
  found = [_step(file, number, line) for number, line in enumerate(whole, 1)]
  steps = list(zip(found, whole))
  # The last line may be whole and lack its end, as some editors leave it.
  with contextlib.suppress(ValueError):
    steps.append((_step(file, 0, rest), rest))
  return [(step, line + b"\n") for step, line in steps]


def _step(file: epath.Path, number: int, line: bytes) -> int:
  try:
    step = json.loads(line.decode())["step"]
    if not isinstance(step, int) or isinstance(step, bool) or step < 0:
      raise ValueError(f"its step is {step!r:.40}")
    return step
  except (ValueError, KeyError, TypeError, RecursionError) as error:
    raise ValueError(
      f"{file}, line {number}: not a JSON object with a step ({error}). Fix or"
      " remove that line."
    ) from error


class TensorBoardWriter:
  """Writes TensorBoard event files by tensorboardX (extra `tensorboard`)."""

  def __init__(self, workdir: epath.Path):
    try:
      import tensorboardX
    except ImportError as error:
      raise ValueError(
        "`config.tensorboard=True` needs the extra: pip install"
        " 'bnnjax[tensorboard]'."
      ) from error
    self._writer = tensorboardX.SummaryWriter(str(workdir / "tensorboard"))

  def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
    for name, value in scalars.items():
      self._writer.add_scalar(name, float(value), step)

  def close(self) -> None:
    self._writer.close()


class Log:
  """Sends the numbers of a run to files for programs and a display for people.

  Args:
    workdir: of the run.
    steps: of the run.
    start: step that the run starts or resumes at.
    tensorboard: also write TensorBoard files.
    active: False on processes other than the first, which write and show
      nothing.
    display: makes what shows the run.
  """

  def __init__(
    self,
    workdir: epath.Path,
    steps: int,
    start: int = 0,
    *,
    tensorboard: bool = False,
    active: bool = True,
    display: Callable[..., Display] = Display,
  ):
    self._files = []
    if active and tensorboard:
      self._files.append(TensorBoardWriter(workdir))
    if active:
      self._files.append(JsonlWriter(workdir / "metrics.jsonl", start))
    self._display = display(steps, start, active=active)

  def interval(
    self,
    step: int,
    scalars: Mapping[str, float],
    rate: float,
    shown: Iterable[str],
    more: Mapping[str, float] | None = None,
  ) -> None:
    """Training metrics of the steps since the last interval.

    Args:
      step: that the interval ends at.
      scalars: metrics.
      rate: examples per second.
      shown: names of the metrics that the display shows.
      more: learning rates of the last step, see `optim.rates`, and `speeds`.
    """
    more = dict(more or {})
    values = {f"train_{k}": v for k, v in scalars.items()}
    self._write(step, values | {f"examples{PER_SECOND}": rate} | more)
    self._display.interval(step, scalars, rate, shown, more)

  def evaluation(
    self,
    step: int,
    epoch: float,
    train_loss: float | None,
    metrics: Mapping[str, float],
    split: str = "test",
  ) -> None:
    """Metrics of the deployed network.

    Args:
      step: that was evaluated.
      epoch: the same in epochs.
      train_loss: since the last evaluation; `None` before the first step.
      metrics: of the evaluation.
      split: that was evaluated on.
    """
    self._write(step, {f"eval_{k}": v for k, v in metrics.items()})
    self._display.evaluation(step, epoch, train_loss, metrics, split)

  def _write(self, step: int, scalars: Mapping[str, float]) -> None:
    for file in self._files:
      file.write_scalars(step, scalars)

  def close(self) -> None:
    self._display.close()
    for file in self._files:
      file.close()


def speeds(steps_per_s: float, data: Mapping[str, Any]) -> dict[str, float]:
  """The speeds that `Log.interval` takes beside examples per second.

  Args:
    steps_per_s: optimizer steps per second.
    data: `config.data`.

  Returns:
    `steps_per_s`, and for texts `tokens_per_s`.
  """
  found = {f"steps{PER_SECOND}": steps_per_s}
  if data["vocab"]:
    tokens = data["batch_size"] * data["shape"][0]
    found[f"tokens{PER_SECOND}"] = steps_per_s * tokens
  return found
