"""Runs as processes, and the files that they leave."""

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from tests.chaos import texts

ROOT = pathlib.Path(__file__).parents[2]
CONFIG = pathlib.Path(__file__).with_name("config.py")
LIMIT = 300.0  # seconds that a run may take
# Of a record: what differs between two runs of the same.
OF_A_SESSION = ("id", "wall_seconds", "cpu_seconds", "commit")
RATE = "_per_s"  # how names of speeds end


class Fault(AssertionError):
  """Something was lost, mixed, or said badly."""


@dataclasses.dataclass
class Place:
  """A folder for runs and the text that they read.

  Attributes:
    folder: of everything.
    devices: number of (forced) devices of every process.
  """

  folder: pathlib.Path
  devices: int = 1

  def __post_init__(self):
    self.folder.mkdir(parents=True, exist_ok=True)
    self.text = self.folder / "corpus.txt"
    self.text.write_text(texts.corpus())

  def spec(self, model: str, **arguments: Any) -> str:
    """The value of `--config`."""
    if model != "mlp":
      arguments = {"text": self.text, **arguments}
    given = "".join(f",{k}={v}" for k, v in arguments.items())
    return f"{CONFIG}:model={model}{given}"

  def start(self, *arguments: Any, devices: int = 0) -> "Process":
    """`bnnjax ARGUMENTS`, as a process in a session of its own."""
    return Process(self.folder, arguments, devices or self.devices)

  def train(
    self, spec: str, workdir: pathlib.Path, *more: str, devices: int = 0
  ) -> "Process":
    """A process that trains."""
    return self.start(
      "train",
      f"--config={spec}",
      f"--workdir={workdir}",
      *more,
      devices=devices,
    )


class Process:
  """A running command; its output goes to files, so that nothing blocks it."""

  def __init__(self, folder: pathlib.Path, arguments: Sequence, devices: int):
    self.command = [sys.executable, "-m", "bnnjax", *map(str, arguments)]
    self.began = time.monotonic()
    self._out, self._err = (
      folder / f"{what}{time.time_ns()}" for what in ("out", "err")
    )
    with self._out.open("wb") as out, self._err.open("wb") as err:
      self._popen = subprocess.Popen(
        self.command,
        cwd=folder,
        env=environment(devices),
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        start_new_session=True,
      )
    self.pid = self._popen.pid

  def running(self) -> bool:
    return self._popen.poll() is None

  def send(self, number: int) -> None:
    """Sends a signal, unless it has ended."""
    if self.running():
      os.kill(self.pid, number)

  def wait(self, limit: float = LIMIT) -> int:
    """The exit status; everything that it started must have ended too."""
    try:
      status = self._popen.wait(limit)
    except subprocess.TimeoutExpired:
      self._end_group()
      raise Fault(f"no end after {limit:.0f} s; {self.said()}") from None
    deadline = time.monotonic() + 20
    while left := _group(self.pid):
      if time.monotonic() > deadline:
        self._end_group()
        raise Fault(f"processes {left} outlive the run")
      time.sleep(0.05)
    return status

  def _end_group(self) -> None:
    with contextlib.suppress(ProcessLookupError):
      os.killpg(self.pid, signal.SIGKILL)
    self._popen.wait()

  def out(self) -> str:
    return self._out.read_text(errors="replace")

  def err(self) -> str:
    return self._err.read_text(errors="replace")

  def said(self) -> str:
    """The end of its output, in one line."""
    words = f"{self.out()[-200:]} | {self.err()[-900:]}".split()
    return " ".join(words)

  def finish(self) -> None:
    """Waits for a good end.

    Raises:
      Fault: of another one.
    """
    if status := self.wait():
      raise Fault(f"exit {status}: {self.said()}")


def environment(devices: int) -> dict[str, str]:
  """A process's environment: our code, some devices, a cache of programs."""
  made = {
    "JAX_COMPILATION_CACHE_DIR": os.path.expanduser("~/.cache/bnnjax_chaos"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
    **os.environ,
    "JAX_PLATFORMS": "cpu",
    "PYTHONPATH": str(ROOT),
  }
  if devices > 1:
    forced = f"--xla_force_host_platform_device_count={devices}"
    made["XLA_FLAGS"] = f"{made.get('XLA_FLAGS', '')} {forced}".strip()
  return made


def _group(pid: int) -> list[int]:
  """Living processes of a session (Linux; elsewhere none are known)."""
  found = []
  for entry in pathlib.Path("/proc").glob("[0-9]*"):
    with contextlib.suppress(OSError):
      state, _, group = (
        (entry / "stat").read_text().rpartition(")")[2].split()[:3]
      )
      if int(group) == pid and state != "Z":
        found.append(int(entry.name))
  return found


@dataclasses.dataclass
class Said:
  """The outcome of a command that ran inside this process."""

  status: int | None
  out: str
  err: str
  uncaught: str = ""


def call(*arguments: Any) -> Said:
  """`bnnjax ARGUMENTS`, in this process."""
  from bnnjax import cli

  out, err = io.StringIO(), io.StringIO()
  status, uncaught = None, ""
  with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
    try:
      status = cli.main([str(a) for a in arguments])
    except SystemExit as error:
      status = error.code
    except BaseException as error:
      if isinstance(error, KeyboardInterrupt) and not error.args:
        raise  # somebody's Ctrl-C
      lines = traceback.format_exception(error)
      uncaught = " ".join("".join(lines[-3:]).split())
  return Said(status, out.getvalue(), err.getvalue(), uncaught)


@dataclasses.dataclass
class Ending:
  """What a run leaves: all arrays, and the lines of its files."""

  arrays: dict[str, np.ndarray]
  lines: dict[str, list]
  records: list[dict[str, Any]]


def ending(workdir: pathlib.Path, record: pathlib.Path | None = None) -> Ending:
  """Reads what a run has left."""
  files = {
    name: [_timeless(x) for x in json_lines(workdir / name)]
    for name in ("metrics.jsonl", "diagnostics.jsonl")
  }
  records = [
    {k: v for k, v in x.items() if k not in OF_A_SESSION}
    for x in json_lines(record or workdir / "record.jsonl")
  ]
  return Ending(arrays(step_of(workdir) / "state"), files, records)


def step_of(workdir: pathlib.Path, kind: str = "last") -> pathlib.Path:
  """The folder of the only checkpoint of a kind."""
  folder = workdir / "checkpoints" / kind
  steps = [p for p in folder.iterdir() if p.name.isdigit()]
  if len(steps) != 1:
    raise Fault(f"{len(steps)} checkpoints are left in {folder}")
  return steps[0]


def arrays(folder: pathlib.Path) -> dict[str, np.ndarray]:
  """The arrays of a checkpoint by path, read from the disk."""
  folder = epath.Path(folder)
  plain = ocp.RestoreArgs(restore_type=np.ndarray)
  with contextlib.closing(ocp.PyTreeCheckpointHandler()) as reader:
    wanted = jax.tree.map(lambda _: plain, reader.metadata(folder).tree)
    found = reader.restore(
      folder, args=ocp.args.PyTreeRestore(restore_args=wanted)
    )
  flat, _ = jax.tree_util.tree_flatten_with_path(found)
  return {jax.tree_util.keystr(path): np.asarray(x) for path, x in flat}


def json_lines(path: pathlib.Path) -> list[Any]:
  """The lines of a file; none if there is no file."""
  text = path.read_text() if path.exists() else ""
  return [json.loads(line) for line in text.splitlines()]


def _timeless(line: dict[str, Any]) -> dict[str, Any]:
  return {k: v for k, v in line.items() if not k.endswith(RATE)}


def other_array(want: dict[str, np.ndarray], got: dict[str, np.ndarray]) -> str:
  """The path of an array that differs in a bit or is on one side only."""
  for path in want.keys() | got.keys():
    x, y = want.get(path), got.get(path)
    if x is None or y is None or x.dtype != y.dtype:
      return path
    if x.tobytes() != y.tobytes():
      return path
  return ""


def difference(want: Ending, got: Ending) -> str:
  """What differs between two runs; empty if nothing does."""
  if path := other_array(want.arrays, got.arrays):
    return f"array {path}"
  for name, lines in want.lines.items():
    if lines != got.lines[name]:
      return f"{name}: {_first(lines, got.lines[name])}"
  if want.records != got.records:
    return f"records: {_first(want.records, got.records)}"
  return ""


def _first(want: list, got: list) -> str:
  if len(want) != len(got):
    steps = [[x.get("step") for x in side] for side in (want, got)]
    return f"{len(got)} lines for {len(want)} ({steps[1]} for {steps[0]})"
  for x, y in zip(want, got):
    for key in {*x, *y}:
      if x.get(key) != y.get(key):
        return f"`{key}` {str(y.get(key))[:80]} for {str(x.get(key))[:80]} ({x.get('step')})"
  return ""


def same(want: Ending, workdir: pathlib.Path, record=None) -> None:
  """Raises `Fault` unless a run ended as `want` did."""
  if what := difference(want, ending(workdir, record)):
    raise Fault(f"not identical: {what}")
