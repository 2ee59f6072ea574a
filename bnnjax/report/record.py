"""A run as one JSON object, one line of a file.

Tables and figures are generated from these lines, never typed.
"""

import dataclasses
import json
import math
import os
import pathlib
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from etils import epath

from bnnjax import deprecated
from bnnjax.report import provenance

FIELDS = (
  "id", "name", "config", "seed", "commit", "versions", "device", "metrics",
  "cost", "wall_seconds",
)  # fmt: skip
# Older records lack these. Digests (see `bnnjax.train.identity`) of the run,
# its data, the network that it ends with, those that it starts from and the code
# of users that it names; in a
# sweep, the name of the workdir and the ids of the records that this one
# replaces; optimizer steps, numbers of training and evaluation examples, and CPU
# seconds of the process, all cores and sessions together.
OPTIONAL = (
  "steps", "examples", "cpu_seconds", "digest", "data", "weights", "init", "teacher", "code", "lengthened_from", "folder",
  "supersedes",
)  # fmt: skip
ROOM = 65536  # bytes; the longest record of ours has 8 thousand


@dataclasses.dataclass(frozen=True)
class Record:
  """The result of a run.

  Attributes:
    name: the config's name and arguments, e.g. `fashion_mnist_mini_pokebnn`.
    config: resolved, as plain JSON.
    seed: the run's.
    metrics: final evaluation (the deployed network after the last step), and
      `best_*` of the best checkpoint.
    cost: of the deployed network for one example, see `bnnjax.cost`.
    wall_seconds: of training and evaluation, all sessions of a resumed run
      together.
    id: the run's.
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
      "commit": provenance.git_commit(),
      "versions": provenance.versions(),
      "device": provenance.device(),
      "metrics": dict(self.metrics),
      "cost": dict(self.cost),
      "wall_seconds": round(self.wall_seconds, 1),
    }


def append(path: epath.PathLike, record: Mapping[str, Any]) -> None:
  """Appends one line, whole or not at all; concurrent writers do not mix.

  A last line without a line end gets one first, if it is a record.

  Raises:
    ValueError: a field is missing or wrong, or the last line of the file is
      not a record.
    OSError: the line cannot be written, e.g. to a full disk; the file stays as
      it was.
  """
  if found := wrong(record):
    raise ValueError(f"The record {found}.")
  line = (json.dumps(record, sort_keys=False) + "\n").encode()
  path = os.fspath(path)
  os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
  handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
  try:
    _lock(handle)
    before = os.fstat(handle).st_size
    if before and not _ends_a_line(handle, before):
      list(read(path))  # an error unless the last line is a record
      line = b"\n" + line
    try:
      _write(handle, line)
      os.fsync(handle)
    except BaseException as error:
      os.ftruncate(handle, before)
      if not isinstance(error, OSError):
        raise
      raise OSError(
        error.errno,
        f"The record of {len(line)} bytes cannot be appended ({error.strerror});"
        " nothing was written. Make room, and run the same command again:"
        " the run itself is kept",
        path,
      ) from error
  finally:
    os.close(handle)  # ends the lock


def _lock(handle: int) -> None:
  """Keeps other writers away until `handle` is closed, if the system can."""
  try:
    import fcntl

    fcntl.flock(handle, fcntl.LOCK_EX)
  except (ImportError, OSError):
    # One write to a file opened for appending is not interleaved anyway.
    pass


def _ends_a_line(handle: int, size: int) -> bool:
  os.lseek(handle, size - 1, os.SEEK_SET)
  return os.read(handle, 1) == b"\n"


def _write(handle: int, line: bytes) -> None:
  """Writes all of it; on an almost full disk, a call may take only a part."""
  while line:
    line = line[os.write(handle, line) :]


def check_appendable(path: epath.PathLike) -> None:
  """Raises `ValueError` unless records can be appended to `path`.

  It reads the file, so that a damaged line is named now, not after training.
  """
  path = os.path.abspath(os.fspath(path))
  folder = os.path.dirname(path)
  while not os.path.exists(folder):
    folder = os.path.dirname(folder)
  for place in (path, *map(str, pathlib.Path(path).parents)):
    try:
      os.stat(place)
    except FileNotFoundError:
      continue  # will be made; a parent may be what is too long
    except OSError as error:  # a name that is too long, links in a circle
      raise ValueError(
        f"The record {path} cannot be written: {error.strerror}."
      ) from error
  exists = os.path.exists(path)
  if (exists and not os.path.isfile(path)) or not os.path.isdir(folder):
    raise ValueError(f"The record {path} cannot be written: not a file there.")
  needed = os.R_OK | os.W_OK
  if not os.access(path if exists else folder, needed):
    raise ValueError(f"The record {path} cannot be written: no permission.")
  free = shutil.disk_usage(folder).free
  if free < ROOM:
    raise ValueError(
      f"The record {path} cannot be written: {free} bytes are left on the disk,"
      f" and a record needs up to {ROOM}. Make room, or choose another --record."
    )
  if exists:
    list(read(path))


def read(path: epath.PathLike) -> Iterator[dict[str, Any]]:
  """The records of a file.

  Raises:
    ValueError: a line is not a record, or repeats the run of another line;
      the message names the line.
  """
  # Not `splitlines`: strings of JSON may hold U+2028 and the like.
  lines = epath.Path(path).read_bytes().split(b"\n")
  seen = {}
  for number, line in enumerate(lines, 1):
    if number == len(lines) and not line:
      return
    where = f"{os.fspath(path)}, line {number}"
    record = _parse(line, where)
    if found := wrong(record):
      raise ValueError(f"{where} {found}.")
    if record["id"] in seen:
      raise ValueError(
        f"{where} has the id {record['id']!r} of line {seen[record['id']]}: a"
        " run is on record once. Remove one of the two lines."
      )
    seen[record["id"]] = number
    yield record


def _parse(line: bytes, where: str) -> Any:
  """The object of a line.

  Raises:
    ValueError: it is not JSON, or has a field twice.
  """

  def unique(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
      raise ValueError("it has a field twice")
    return found

  try:
    record = json.loads(line.decode(), object_pairs_hook=unique)
    # A string may hold half of a surrogate pair, which no file can.
    json.dumps(record, ensure_ascii=False).encode()
    return record
  except (ValueError, RecursionError) as error:  # UnicodeError is a ValueError
    raise ValueError(
      f"{where}: not JSON ({error}). Mend or remove that line."
    ) from error


def wrong(record: Any) -> str:
  """What is wrong with a record, as the end of a sentence; empty if nothing."""
  if not isinstance(record, Mapping):
    return f"is no record but {record!r:.40}: an object of fields is wanted"
  missing = [f for f in FIELDS if f not in record]
  if missing:
    return f"lacks {', '.join(missing)}"
  for field, (fits, wanted) in _FIELD_KINDS.items():
    if field in record and not fits(record[field]):
      return f"has {record[field]!r:.60} as `{field}`: {wanted} is wanted"
  for name, value in record["metrics"].items():
    if not _is_number(value):
      return f"has {value!r:.60} as `metrics.{name}`: a finite number is wanted"
  return ""


def _is_number(value: Any) -> bool:
  plain = isinstance(value, int | float) and not isinstance(value, bool)
  return plain and -math.inf < value < math.inf


def _is_text(value: Any) -> bool:
  return isinstance(value, str) and bool(value)


def _is_object(value: Any) -> bool:
  return isinstance(value, Mapping)


def _is_list_of_text(value: Any) -> bool:
  return isinstance(value, list) and all(map(_is_text, value))


_FIELD_KINDS = {
  "id": (_is_text, "text"),
  "name": (_is_text, "text"),
  "config": (_is_object, "an object"),
  "seed": (lambda x: _is_number(x) and x == int(x), "a whole number"),
  "commit": (lambda x: x is None or _is_text(x), "text or null"),
  "versions": (_is_object, "an object"),
  "device": (_is_text, "text"),
  "metrics": (_is_object, "an object"),
  "cost": (_is_object, "an object"),
  **dict.fromkeys(
    ("wall_seconds", "cpu_seconds"),
    (lambda x: _is_number(x) and x >= 0, "a number of seconds"),
  ),
  **dict.fromkeys(
    ("digest", "weights", "init", "teacher", "folder"), (_is_text, "text")
  ),
  "steps": (lambda x: _is_number(x) and x == int(x) >= 0, "a whole number"),
  **dict.fromkeys(
    ("examples", "data", "lengthened_from"), (_is_object, "an object")
  ),
  "supersedes": (_is_list_of_text, "a list of ids"),
}


def current(records: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
  """The records that no other one supersedes."""
  records = list(records)
  gone = {i for record in records for i in record.get("supersedes", ())}
  return [record for record in records if record.get("id") not in gone]


def ids(path: epath.PathLike) -> set[str]:
  """Ids of the runs on record; none if there is no file."""
  path = epath.Path(path)
  return {r["id"] for r in read(path)} if path.exists() else set()


__getattr__ = deprecated.old_names(
  __name__,
  {
    "git_commit": "bnnjax.report.provenance.git_commit",
    "versions": "bnnjax.report.provenance.versions",
    "device": "bnnjax.report.provenance.device",
  },
)
