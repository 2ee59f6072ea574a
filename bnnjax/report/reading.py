"""Reads the records of files that may hold other things, or damaged lines.

Training appends to a file of records, so `record.read` stops at a line that is
none. A report names such lines and shows the rest.
"""

import codecs
import contextlib
import gc
import glob
import graphlib
import json
import os
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bnnjax.errors import UserError
from bnnjax.report import axes
from bnnjax.report import record as record_lib

SUFFIX = ".jsonl"
CONFIG = "config.json"  # of a workdir
OF_WORKDIR = ("metrics.jsonl", "diagnostics.jsonl")  # hold no records
LONGEST = 2**20  # bytes of a line; the longest record of ours has 8 thousand
SHOWN = 5  # skipped lines that a message names
MOST_PARTS = 16384  # different texts of parts that are kept
# Fields that many runs share, and how a line, or a config, goes on after each.
PARTS = (
  ("config", '}, "seed": '),
  ("versions", '}, "device": '),
  ("cost", '}, "wall_seconds": '),
)
PARTS_OF_CONFIG = (
  ("data", '}, "diagnostics": '),
  ("model", '}, "optim": '),
  ("optim", '}, "seed": '),
)

CUT = "(cut)"  # stands for a part

_SEED = re.compile(r', "seed": (\d+)(?=[,}])')


class Skipped(NamedTuple):
  """What was not read.

  Attributes:
    file: its path.
    line: its number, from 1; 0 for the whole file.
    reason: the end of a sentence about it, e.g. `is empty`.
  """

  file: str
  line: int
  reason: str

  def __str__(self) -> str:
    return (
      f"{self.file}{f', line {self.line}' if self.line else ''} {self.reason}"
    )


def say(skipped: Sequence[Skipped]) -> list[str]:
  """Sentences about what was skipped: the first few, and how many more."""
  out = [f"{s}; it is skipped" for s in skipped[:SHOWN]]
  if len(skipped) > SHOWN:
    out.append(f"{len(skipped) - SHOWN} more files or lines are skipped")
  return out


def read(
  paths: Sequence[os.PathLike | str],
) -> tuple[list[Mapping[str, Any]], list[Skipped]]:
  """The current records of files, see `runs.load`."""
  found: dict[str, tuple[Mapping[str, Any], str]] = {}
  skipped: list[Skipped] = []
  parse = _Parser()
  listed = files(paths)
  with _no_collection():
    for file in listed:
      skipped += _read(file, parse, found)
  records = [record for record, _ in found.values()]
  _check_superseding(records)
  return record_lib.current(records), skipped


def whole(file: os.PathLike | str) -> list[Mapping[str, Any]]:
  """The current records of a file; none if it holds other things.

  Raises:
    UserError: a line of a file of records is none.
  """
  records, skipped = read([file])
  if records and skipped:
    raise UserError(f"{skipped[0]}: mend or remove the line.")
  return records


def _check_superseding(records: Sequence[Mapping[str, Any]]) -> None:
  """Raises `UserError` if records supersede each other: none would be left."""
  graph = {r["id"]: r["supersedes"] for r in records if r.get("supersedes")}
  try:
    graphlib.TopologicalSorter(graph).prepare()
  except graphlib.CycleError as error:
    raise UserError(
      "Records supersede each other in a circle, so none of them counts:"
      f" {', '.join(error.args[1][:SHOWN])}. Take the id of the one that counts"
      " out of the field `supersedes` of the others."
    ) from error


def _read(
  file: str, parse: "_Parser", found: dict[str, tuple[Mapping[str, Any], str]]
) -> list[Skipped]:
  """Adds the records of a file to `found`, by id; returns what it skipped."""
  before, bad, lines = len(found), [], 0
  for number, line in _lines(file):
    lines += 1
    record, problem = parse(line)
    if record is not None:
      where = f"{file}, line {number}"
      first, other = found.setdefault(record["id"], (record, where))
      if first is record or first == record:
        continue
      problem = f"has the id {record['id']!r} of {other}, but other contents"
    bad.append(Skipped(file, number, problem))
  if not lines:
    return [Skipped(file, 0, "is empty")]
  if len(bad) == lines and len(found) == before:
    reason = f"holds no records: line {bad[0].line} {bad[0].reason}"
    return [Skipped(file, 0, reason)]
  return bad


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
  """Stops the collector of cycles, which takes half the time of a large file."""
  was = gc.isenabled()
  gc.disable()
  try:
    yield
  finally:
    if was:
      gc.enable()


def files(paths: Sequence[os.PathLike | str]) -> list[str]:
  """The files that paths, folders and globs name, each once.

  Raises:
    UserError: there is none under a path.
  """
  found: list[str] = []
  for path in paths:
    path = os.fspath(path)
    if not os.path.exists(path) and glob.has_magic(path):
      listed = sorted(glob.glob(path, recursive=True))
      if not listed:
        raise UserError(f"No file matches {path!r}.")
    else:
      listed = [path]
    for each in listed:
      found += _in_folder(each) if os.path.isdir(each) else [each]
  if not found:
    raise UserError(f"Give files of records (*{SUFFIX}), or their folder.")
  for file in found:
    if not os.path.exists(file):
      raise UserError(f"There is no file or folder {file!r}.")
  return list(dict.fromkeys(found))


def _in_folder(folder: str) -> list[str]:
  """Its record files or, if it has none, those of its subfolders (of runs)."""
  root = pathlib.Path(folder)
  for pattern in (f"*{SUFFIX}", f"*/*{SUFFIX}"):
    found = (p for p in root.glob(pattern) if p.is_file())
    listed = sorted(p for p in found if not _of_workdir(p))
    if listed:
      return list(map(str, listed))
  raise UserError(
    f"The folder {folder!r} and its subfolders hold no *{SUFFIX} files of records."
  )


def _of_workdir(file: pathlib.Path) -> bool:
  """Whether a run wrote the file beside its config for other purposes."""
  return file.name in OF_WORKDIR and (file.parent / CONFIG).exists()


def _lines(file: str) -> Iterator[tuple[int, bytes]]:
  """Numbered lines; of one that is too long to be a record, its beginning."""
  with open(file, "rb") as opened:
    number = 0
    while line := opened.readline(LONGEST):
      number += 1
      if number == 1:
        line = line.removeprefix(codecs.BOM_UTF8)  # as editors may add
      yield number, line
      while len(line) == LONGEST and not line.endswith(b"\n"):
        line = opened.readline(LONGEST)


class _Parser:
  """Parses lines; equal configs, versions and costs become one object.

  That takes a quarter of the time and little memory for many runs. Cutting a
  line is safe: if its rest is JSON with a text in the place of the part, which
  it has nowhere else, and the part is JSON too, then the line is the rest with
  that part.
  """

  def __init__(self):
    self._parts: dict[str, Mapping[str, Any] | None] = {}
    self._costs: dict[int, Any] = {}  # possible ones, by id

  def __call__(self, line: bytes) -> tuple[Any, str]:
    """A record and `""`, or `None` and what is wrong with the line."""
    if len(line) >= LONGEST:
      return None, f"has more than {LONGEST} bytes, which no record has"
    if b"\0" in line:
      return None, "is not text (it has a byte 0)"
    try:
      text = line.decode().rstrip("\n")
      if not text.strip():
        return None, "is blank"
      record = self._from_parts(text) or _loads(text)
      if "\\ud" in text or "\\uD" in text:
        # A string may hold half of a surrogate pair, which no output can.
        json.dumps(record, ensure_ascii=False).encode()
    except (
      ValueError,
      RecursionError,
    ) as error:  # UnicodeError is a ValueError
      return None, f"is not JSON ({error})"
    if problem := record_lib.wrong(record) or _impossible(record):
      return None, problem
    cost = record["cost"]
    if id(cost) not in self._costs:
      if problem := _impossible_cost(record):
        return None, problem
      if len(self._costs) < MOST_PARTS:
        self._costs[id(cost)] = cost  # held, so that no other one gets its id
    return record, ""

  def _from_parts(self, text: str) -> dict[str, Any] | None:
    """The record of a line as we write it; `None` if it may be another."""
    if CUT in text:
      return None
    rest, held = self._cut(text, PARTS)
    return _joined(_loads(rest), held) if held else None

  def _cut(
    self, text: str, parts: Sequence[tuple[str, str]]
  ) -> tuple[str, dict[str, Any]]:
    """A text without its parts, and these; no parts if it may be another.

    For example `{"a": {"b": 1}, "c": 2}` is `{"a": "(cut)", "c": 2}` with the
    part `a`, which goes on with `}, "c": `.
    """
    held, whole = {}, text
    for field, end in parts:
      start = text.find(f'"{field}": {{')
      stop = text.rfind(end)
      if start < 0 or stop < start:
        return whole, {}
      start += len(field) + 4
      part = self._part(field, text[start : stop + 1])
      if part is None:
        return whole, {}
      held[field] = part
      text = f'{text[:start]}"{CUT}"{text[stop + 1 :]}'
    return text, held

  def _part(self, field: str, text: str) -> Mapping[str, Any] | None:
    if field != "config":
      return self._parsed(text)
    rest, held = self._cut(text, PARTS_OF_CONFIG)
    seed = _SEED.search(rest)  # tells apart the configs of most runs
    if not seed:
      return self._parsed(text)
    config = self._parsed(
      f'{rest[: seed.start(1)]}"{CUT}"{rest[seed.end(1) :]}'
    )
    if config and config.get("seed") == CUT:
      config = _joined(config, held)
      return config and config | {"seed": int(seed[1])}
    return self._parsed(text)

  def _parsed(self, text: str) -> Mapping[str, Any] | None:
    if text not in self._parts:
      if len(self._parts) >= MOST_PARTS:
        self._parts.clear()
      try:
        self._parts[text] = _loads(text)
      except (ValueError, RecursionError):
        self._parts[text] = None
    return self._parts[text]


def _joined(rest: Any, held: Mapping[str, Any]) -> dict[str, Any] | None:
  """An object with its parts; `None` if they were parts of an inner object."""
  if not isinstance(rest, dict):
    return None
  if any(rest.get(field) != CUT for field in held):
    return None
  return rest | held


def _impossible(record: Mapping[str, Any]) -> str:
  """What no run can have measured, as the end of a sentence."""
  for name, value in record["metrics"].items():
    if "accuracy" in name and not 0 <= value <= 1:
      return (
        f"has {value!r:.60} as `metrics.{name}`: a share from 0 to 1 is wanted"
      )
  seed = record["config"].get("seed")
  if seed is not None and seed != record["seed"]:
    return (
      f"has the seed {record['seed']!r:.60}, but {seed!r:.60} in its config"
    )
  return ""


def _impossible_cost(record: Mapping[str, Any]) -> str:
  """Costs that no network can have, as the end of a sentence."""
  for axis in axes.AXES.values():
    if (cost := axis.read(record)) is not None and cost < 0:
      return f"has {cost:g} as its {axis.label}: no cost is below 0"
  return ""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  found = dict(pairs)
  if len(found) < len(pairs):
    raise ValueError("it has a field twice")
  return found


_loads = json.JSONDecoder(object_pairs_hook=_unique).decode
