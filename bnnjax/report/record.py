"""A run as one JSON object, one line of a file.

Tables and figures are generated from these lines, never typed.
"""

import dataclasses
import importlib.metadata
import json
import os
import platform
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import jax
from etils import epath

PACKAGES = (
  "bnnjax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy"
)  # fmt: skip
FIELDS = (
  "id", "name", "config", "seed", "commit", "versions", "device", "metrics",
  "cost", "wall_seconds",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Record:
  """What is known of a run.

  Attributes:
    name: the config's name and arguments, e.g. `fashion_mnist_mini_pokebnn`.
    config: resolved, as plain JSON.
    seed: of the run.
    metrics: final evaluation (the deployed network after the last step), and
      `best_*` of the best checkpoint.
    cost: of the deployed network for one example, see `bnnjax.cost`.
    wall_seconds: of training and evaluation, all sessions of a resumed run
      together.
    id: of the run.
  """

  name: str
  config: Mapping[str, Any]
  seed: int
  metrics: Mapping[str, float]
  cost: Mapping[str, Any]
  wall_seconds: float
  id: str = dataclasses.field(default_factory=lambda: uuid.uuid4().hex[:12])

  def to_json(self) -> dict[str, Any]:
    """The record with id, commit, versions and device."""
    return {
      "id": self.id,
      "name": self.name,
      "config": self.config,
      "seed": self.seed,
      "commit": git_commit(),
      "versions": versions(),
      "device": device(),
      "metrics": dict(self.metrics),
      "cost": dict(self.cost),
      "wall_seconds": round(self.wall_seconds, 1),
    }


def append(path: epath.PathLike, record: Mapping[str, Any]) -> None:
  """Appends one line atomically: writers at the same time do not mix.

  Raises:
    ValueError: a field is missing.
  """
  missing = [f for f in FIELDS if f not in record]
  if missing:
    raise ValueError(f"The record lacks {', '.join(missing)}.")
  line = (json.dumps(record, sort_keys=False) + "\n").encode()
  path = os.fspath(path)
  os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
  # One write to a file opened for appending is not interleaved with another.
  handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
  try:
    os.write(handle, line)
    os.fsync(handle)
  finally:
    os.close(handle)


def check_appendable(path: epath.PathLike) -> None:
  """Raises `ValueError` unless records can be appended to `path`."""
  path = os.path.abspath(os.fspath(path))
  folder = os.path.dirname(path)
  while not os.path.exists(folder):
    folder = os.path.dirname(folder)
  target = path if os.path.exists(path) else folder
  if os.path.isdir(path) or not os.path.isdir(folder):
    raise ValueError(f"The record {path} cannot be written: not a file there.")
  if not os.access(target, os.W_OK):
    raise ValueError(f"The record {path} cannot be written: no permission.")


def read(path: epath.PathLike) -> Iterator[dict[str, Any]]:
  """The records of a file.

  Raises:
    ValueError: a line is not a record; says which.
  """
  for number, line in enumerate(epath.Path(path).read_text().splitlines(), 1):
    try:
      record = json.loads(line)
    except json.JSONDecodeError as error:
      raise ValueError(f"{path}, line {number}: not JSON ({error}).") from error
    missing = [f for f in FIELDS if f not in record]
    if missing:
      raise ValueError(f"{path}, line {number} lacks {', '.join(missing)}.")
    yield record


def ids(path: epath.PathLike) -> set[str]:
  """Ids of the runs on record; none where there is no file."""
  path = epath.Path(path)
  return {r["id"] for r in read(path)} if path.exists() else set()


def git_commit() -> str | None:
  """Commit of the code that runs, `-dirty` with local changes; or `None`."""
  root = epath.Path(__file__).parent

  def git(*arguments):
    return subprocess.run(
      ["git", "-C", os.fspath(root), *arguments],
      capture_output=True,
      text=True,
      check=True,
    ).stdout.strip()

  try:
    # Installed into somebody's repository, this file is not tracked there.
    git("ls-files", "--error-unmatch", os.path.basename(__file__))
    # Records are no code: a run before this one may have appended to some.
    code = ("--", ":/", ":(exclude,top)*.jsonl")
    dirty = git("status", "--porcelain", "--untracked-files=no", *code)
    return git("rev-parse", "HEAD") + ("-dirty" if dirty else "")
  except (OSError, subprocess.CalledProcessError):
    return None  # installed from a wheel: the version below says which


def versions() -> dict[str, str]:
  """Versions of Python and of the packages that numbers depend on."""
  found = {"python": platform.python_version()}
  for package in PACKAGES:
    try:
      found[package] = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
      continue
  return found


def device() -> str:
  """The accelerators in words, e.g. `2 x cpu`."""
  return f"{jax.device_count()} x {jax.devices()[0].device_kind}"
