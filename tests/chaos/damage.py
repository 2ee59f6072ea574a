"""Ways to damage what a run reads and writes: one table for each kind.

Ways of texts, configs and lines take bytes and return other bytes; ways of
places and folders take a path and change what lies there.
"""

import json
import pathlib
import random
import shutil
import unicodedata
from collections.abc import Callable
from typing import Any

Way = Callable[[bytes], bytes]
Move = Callable[[pathlib.Path], None]


def _of_text(change: Callable[[str], str]) -> Way:
  return lambda data: change(data.decode()).encode()


def _shuffled(text: str) -> str:
  lines = text.splitlines(keepends=True)
  random.Random(0).shuffle(lines)
  return "".join(lines)


def _permuted(text: str) -> str:
  letters = sorted({c for c in text if c.isalpha()})
  table = str.maketrans(dict(zip(letters, letters[1:] + letters[:1])))
  return text.translate(table)


def _replaced(text: str) -> str:
  place = len(text) // 3
  other = "b" if text[place] == "a" else "a"
  return f"{text[:place]}{other}{text[place + 1 :]}"


TEXTS: dict[str, Way] = {
  "lines shuffled": _of_text(_shuffled),
  "halved": _of_text(lambda text: text[: len(text) // 2]),
  "tenfold": lambda data: data * 10,
  "one character more": lambda data: data + b"a",
  "one character less": lambda data: data[:-1],
  "one character replaced": _of_text(_replaced),
  "other case": _of_text(str.swapcase),
  "CRLF": lambda data: data.replace(b"\n", b"\r\n"),
  "byte order mark": lambda data: b"\xef\xbb\xbf" + data,
  "decomposed": _of_text(lambda text: unicodedata.normalize("NFD", text)),
  "alphabet permuted": _of_text(_permuted),
  "backwards": _of_text(lambda text: text[::-1]),
  "no accents": _of_text(lambda text: text.replace("é", "e")),
  "UTF-16": lambda data: data.decode().encode("utf-16"),
  "empty": lambda data: b"",
}


def _field(path: str, change: Callable[[Any], Any] | None) -> Way:
  """Changes a field of JSON; `None` removes it."""

  def way(data: bytes) -> bytes:
    made = json.loads(data)
    *parents, leaf = path.split(".")
    place = made
    for parent in parents:
      place = place[parent]
    if change is None:
      place.pop(leaf, None)
    else:
      place[leaf] = change(place.get(leaf))
    return json.dumps(made, indent=2).encode() + b"\n"

  return way


def _to(value: Any) -> Callable[[Any], Any]:
  return lambda _: value


OTHER_VALUES = {
  "seed": 7,
  "steps": 48,
  "epochs": 3.0,
  "data.name": "digits",
  "data.batch_size": 8,
  "data.shape": [5, 5, 1],
  "data.num_classes": 4,
  "data.options": {},
  "model.name": "resnet",
  "model.hidden": [16, 8],
  "task": {"name": "classification", "label_smoothing": 0.1},
  "optim.name": "sgd",
  "optim.lr": 0.5,
  "optim.schedule": "constant",
  "mesh.fsdp": 2,
  "stages": [{"until": 1.0, "optim": {"lr": 0.1}}],
  "events": [[1, "freeze_bounds"]],
  "init": "nowhere",
  "eval_every": 3.0,
  "log_every": 7,
  "diagnostics": 5,
  "checkpoint": {"every_steps": 4, "every_minutes": 0.0},
  "unknown": 3,
}
OTHER_TYPES = {
  "seed": "x",
  "steps": 1e400,
  "data": [],
  "data.shape": "44",
  "data.batch_size": None,
  "model": "mlp",
  "model.hidden": {"a": 1},
  "optim": None,
  "optim.lr": True,
  "stages": 3,
  "checkpoint": 5,
}
GONE = ("seed", "steps", "data", "data.batch_size", "model", "optim.lr", "task")


def _twice(data: bytes) -> bytes:
  return data.rstrip()[:-1] + b', "seed": 9}\n'


# Of any JSON file.
SPELLINGS: dict[str, Way] = {
  "cut": lambda data: data[: len(data) // 2],
  "without its last byte": lambda data: data.rstrip()[:-1],
  "empty": lambda data: b"",
  "only blanks": lambda data: b"\n \n",
  "deep": lambda data: b"[" * 200_000,
  "deep object": lambda data: b'{"a":' * 100_000,
  "not UTF-8": lambda data: data[:20] + b"\xff\xfe" + data[20:],
  "UTF-16": lambda data: data.decode().encode("utf-16"),
  "byte order mark": lambda data: b"\xef\xbb\xbf" + data,
  "NUL bytes": lambda data: bytes(len(data)),
  "NUL inside": lambda data: data[:20] + b"\0" + data[20:],
  "a list": lambda data: b"[" + data + b"]",
  "null": lambda data: b"null",
  "a number": lambda data: b"3",
  "long number": lambda data: data.rstrip()[:-1] + b',"x":' + b"9" * 5000 + b"}",
  "comma": lambda data: data.rstrip()[:-1] + b",}",
  "single quotes": lambda data: data.replace(b'"', b"'"),
  "two": lambda data: data + data,
  "HTML": lambda data: b"<!DOCTYPE html><html></html>",
  "a key twice": _twice,
}  # fmt: skip

CONFIGS: dict[str, Way] = {
  **{f"{k} = {v!r}": _field(k, _to(v)) for k, v in OTHER_VALUES.items()},
  **{f"{k} is {v!r}": _field(k, _to(v)) for k, v in OTHER_TYPES.items()},
  **{f"no {k}": _field(k, None) for k in GONE},
  **SPELLINGS,
}


def _line_of(way: Way) -> Way:
  """Damages the first line only."""

  def whole(data: bytes) -> bytes:
    first, end, rest = data.partition(b"\n")
    return way(first) + end + rest

  return whole


def _one_line(way: Way) -> Way:
  """Damages one line in the given way."""
  return lambda data: json.dumps(json.loads(way(data))).encode()


RECORD_FIELDS = (
  "id", "name", "config", "seed", "commit", "versions", "device", "metrics",
  "cost", "wall_seconds",
)  # fmt: skip
RECORD_TYPES = {
  "id": 3,
  "name": None,
  "config": [],
  "metrics": None,
  "metrics.accuracy": "x",
  "cost": 3,
  "cost.ace": None,
  "wall_seconds": "x",
}

# Of a file of records whose first line is whole and another run's.
RECORDS: dict[str, Way] = {
  "half a line at the end": lambda data: data + data[: len(data) // 2],
  "no line end": lambda data: data.rstrip(b"\n"),
  "a stray line": lambda data: data + b"x\n",
  "a blank line": lambda data: data + b"\n\n",
  "CRLF": lambda data: data.replace(b"\n", b"\r\n"),
  **{f"line {k}": _line_of(v) for k, v in SPELLINGS.items()},
  **{f"no {k}": _line_of(_one_line(_field(k, None))) for k in RECORD_FIELDS},
  **{
    f"{k} is {v!r}": _line_of(_one_line(_field(k, _to(v))))
    for k, v in RECORD_TYPES.items()
  },
}

# Of metrics.jsonl and diagnostics.jsonl, of which a line was lost or broken.
LINES: dict[str, Way] = {
  "half a line at the end": lambda data: data + data[: data.index(b"\n") // 2],
  "a stray line": lambda data: data + b"x\n",
  "a stray line inside": _line_of(lambda line: line + b"\nx"),
  "not UTF-8": _line_of(lambda line: line[:3] + b"\xff" + line[3:]),
  "NUL bytes": _line_of(lambda line: bytes(len(line))),
  "a list": _line_of(lambda line: b"[" + line + b"]"),
  "a number": _line_of(lambda line: b"3"),
  "null": _line_of(lambda line: b"null"),
  "no step": _line_of(_one_line(_field("step", None))),
  "step is a text": _line_of(_one_line(_field("step", _to("x")))),
  "step is null": _line_of(_one_line(_field("step", _to(None)))),
  "deep": _line_of(lambda line: b"[" * 200_000),
}


def _instead(make: Move) -> Move:
  """Puts something else where a file or folder was."""

  def move(path: pathlib.Path) -> None:
    if path.is_dir():
      shutil.rmtree(path)
    else:
      path.unlink()
    make(path)

  return move


# Of any file: something else is in its place.
PLACES: dict[str, Move] = {
  "gone": _instead(lambda path: None),
  "a folder": _instead(lambda path: path.mkdir()),
  "dangling link": _instead(lambda path: path.symlink_to("nowhere")),
  "link to itself": _instead(lambda path: path.symlink_to(path.name)),
}


def _step(workdir: pathlib.Path, kind: str = "last") -> pathlib.Path:
  """The folder of a checkpoint."""
  folder = workdir / "checkpoints" / kind
  return next(p for p in folder.iterdir() if p.name.isdigit())


def _inside(name: str, move: Move, kind: str = "last") -> Move:
  return lambda workdir: move(_step(workdir, kind) / name)


def _below(name: str, move: Move) -> Move:
  return lambda workdir: move(workdir / "checkpoints" / name)


def _copied(workdir: pathlib.Path) -> None:
  step = _step(workdir)
  shutil.copytree(step, step.with_name("99999"))


def _older(workdir: pathlib.Path) -> None:
  step = _step(workdir)
  shutil.copytree(step, step.with_name("1"))


def _exchanged(workdir: pathlib.Path) -> None:
  last, best = _step(workdir), _step(workdir, "best")
  shutil.rmtree(last / "state")
  shutil.copytree(best / "state", last / "state")


def _halved(workdir: pathlib.Path) -> None:
  files = [p for p in (_step(workdir) / "state").rglob("*") if p.is_file()]
  largest = max(files, key=lambda p: p.stat().st_size)
  largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])


# Of a workdir whose run was stopped between two evaluations.
FOLDERS: dict[str, Move] = {
  "a stray step": _below("last/99", lambda path: path.mkdir()),
  "a stray step with files": _below(
    "last/99/state/x", lambda path: (path.parent.mkdir(parents=True), path.touch())
  ),
  "a copy of another step": _copied,
  "a copy of an earlier step": _older,
  "a file among the steps": _below("last/77", lambda path: path.touch()),
  "another name": _below("last/old", lambda path: path.mkdir()),
  "a started write": _below(
    "last/90.orbax-checkpoint-tmp", lambda path: path.mkdir()
  ),
  "no last": _below("last", _instead(lambda path: None)),
  "no best": _below("best", _instead(lambda path: None)),
  "empty best": _below("best", _instead(lambda path: path.mkdir())),
  "no checkpoints": lambda workdir: shutil.rmtree(workdir / "checkpoints"),
  "checkpoints are a file": lambda workdir: _instead(lambda p: p.touch())(
    workdir / "checkpoints"
  ),
  "last is a file": _below("last", _instead(lambda path: path.touch())),
  "last is a link to itself": _below(
    "last", _instead(lambda path: path.symlink_to("last"))
  ),
  "empty step": lambda workdir: _instead(lambda p: p.mkdir())(_step(workdir)),
  "no state": _inside("state", _instead(lambda path: None)),
  "empty state": _inside("state", _instead(lambda path: path.mkdir())),
  "no info": _inside("info", _instead(lambda path: None)),
  "no watched": _inside("watched", _instead(lambda path: None)),
  "no metadata": _inside("_CHECKPOINT_METADATA", _instead(lambda path: None)),
  "state of the other": _exchanged,
  "half a file": _halved,
  "no state of best": _inside("state", _instead(lambda path: None), "best"),
  "read-only": lambda workdir: workdir.chmod(0o555),
  "checkpoints read-only": lambda workdir: (workdir / "checkpoints").chmod(0o555),
}  # fmt: skip
