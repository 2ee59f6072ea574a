"""Where metrics go: JSON lines, TensorBoard, and the `display`.

Writers have the signatures of clu's `MetricWriter`; clu's own need TensorFlow.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from etils import epath

from bnnjax.train.display import Display

PER_SECOND = "_per_s"


class JsonlWriter:
  """One JSON object a line in `metrics.jsonl`, written through at once.

  Args:
    workdir: of the run.
    start: step that the run goes on from; later lines, of a session that was
      killed after its last checkpoint, go.

  Raises:
    ValueError: see `check_lines`.
  """

  def __init__(self, workdir: epath.Path, start: int = 0):
    self._file = workdir / "metrics.jsonl"
    truncate(self._file, start)

  def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
    line = {"step": step} | {k: float(v) for k, v in scalars.items()}
    append_line(self._file, line)

  def flush(self) -> None:
    pass

  def close(self) -> None:
    pass


def append_line(file: epath.PathLike, line: Mapping[str, Any]) -> None:
  """Writes one JSON object through.

  Raises:
    OSError: names the file. What a full disk has left of the line goes with the
      next `truncate`.
  """
  try:
    with open(file, "ab") as out:
      out.write((json.dumps(line) + "\n").encode())
  except OSError as error:
    raise OSError(
      error.errno,
      f"A line cannot be written ({error.strerror}). Make room, or give"
      " permission, and run the same command again",
      os.fspath(file),
    ) from error


def check_lines(file: epath.PathLike) -> None:
  """Checks a file of JSON lines before a run goes on with it.

  The last line may lack its end, as a kill leaves it.

  Raises:
    ValueError: a line is no JSON object with a step; says which.
  """
  _lines(epath.Path(file))


def truncate(file: epath.Path, step: int) -> None:
  """Drops the JSON lines of later steps, and the rest of a last one.

  The file is never without what stays: a new one takes its place.

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
  """Steps and lines; none where there is no file."""
  if not file.exists():
    return []
  *whole, rest = file.read_bytes().split(b"\n")
  found = [_step(file, number, line) for number, line in enumerate(whole, 1)]
  steps = list(zip(found, whole))
  # An editor's last line may be whole.
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
      f"{file}, line {number}: not a JSON object with a step ({error}). Mend or"
      " remove that line."
    ) from error


class TensorBoardWriter:
  """TensorBoard event files, by tensorboardX (extra `tensorboard`)."""

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

  def flush(self) -> None:
    self._writer.flush()

  def close(self) -> None:
    self._writer.close()


class Writers:
  """Writes to all of them; on processes other than the first, to none."""

  def __init__(
    self,
    workdir: epath.Path,
    *,
    tensorboard: bool,
    active: bool,
    start: int = 0,
  ):
    self._all = []
    if active and tensorboard:
      self._all.append(TensorBoardWriter(workdir))
    if active:
      self._all.append(JsonlWriter(workdir, start))

  def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
    for writer in self._all:
      writer.write_scalars(step, scalars)

  def flush(self) -> None:
    for writer in self._all:
      writer.flush()

  def close(self) -> None:
    for writer in self._all:
      writer.close()


class Log:
  """Where the numbers of a run go: files for programs, a display for people.

  Args:
    workdir: of the run.
    steps: of the run.
    start: step that it starts (or goes on) from.
    tensorboard: also write TensorBoard files.
    active: False on processes other than the first.
  """

  def __init__(
    self,
    workdir: epath.Path,
    steps: int,
    start: int = 0,
    *,
    tensorboard: bool = False,
    active: bool = True,
  ):
    self._files = Writers(
      workdir, tensorboard=tensorboard, active=active, start=start
    )
    self._display = Display(steps, start, active=active)
    if start:
      self._display.line(f"going on from step {start}/{steps}")

  def interval(
    self,
    step: int,
    scalars: Mapping[str, float],
    rate: float,
    shown: Iterable[str],
    more: Mapping[str, float] | None = None,
  ) -> None:
    """Training metrics of the steps since the last interval.

    A person sees the metrics of `shown`, the norm of the gradient, learning
    rates, steps and examples (of texts, tokens) a second.

    Args:
      step: that the interval ends at.
      scalars: metrics.
      rate: examples a second.
      shown: names of the metrics that a person sees.
      more: learning rates of the last step, see `optim.rates`, and `speeds`.
    """
    more = dict(more or {})
    values = {f"train_{k}": v for k, v in scalars.items()}
    self._files.write_scalars(step, values | {"examples_per_s": rate} | more)
    names = [*shown, "grad_norm"]
    seen = {k: scalars[k] for k in names if k in scalars}
    seen |= {k: v for k, v in more.items() if not k.endswith(PER_SECOND)}
    examples = {} if f"tokens{PER_SECOND}" in more else {"examples": rate}
    speeds = {
      k.removesuffix(PER_SECOND): v
      for k, v in more.items()
      if k.endswith(PER_SECOND)
    }
    self._display.update(step, seen, speeds | examples)

  def evaluation(
    self,
    step: int,
    epoch: float,
    train_loss: float | None,
    got: Mapping[str, float],
  ) -> None:
    """Metrics of the deployed network; no training loss before the first step."""
    values = {f"eval_{k}": v for k, v in got.items()}
    self._files.write_scalars(step, values)
    shown = {} if train_loss is None else {"train loss": train_loss}
    shown |= {f"test {k}": v for k, v in got.items()}
    self._display.evaluated(step, epoch, shown)

  def close(self) -> None:
    self._display.close()
    self._files.close()


def speeds(steps_per_s: float, data: Mapping[str, Any]) -> dict[str, float]:
  """What `Log.interval` takes beside examples a second.

  Args:
    steps_per_s: optimizer steps a second.
    data: `config.data`.

  Returns:
    `steps_per_s`, and of texts `tokens_per_s`.
  """
  found = {f"steps{PER_SECOND}": steps_per_s}
  if data["vocab"]:
    tokens = data["batch_size"] * data["shape"][0]
    found[f"tokens{PER_SECOND}"] = steps_per_s * tokens
  return found
