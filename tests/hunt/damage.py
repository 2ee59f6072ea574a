"""Ways to damage a file: of bytes, of its place, of JSON.

A way takes a random generator and returns the damaged content; `None` in the
place of bytes stands for a file that is not there.
"""

import gzip
import json
import lzma
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np

Rng = np.random.Generator
Way = Callable[[Rng, bytes], bytes]

HTML = b"<!DOCTYPE html><html><body>404: Not Found</body></html>"
PICKLE = (
  b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s."
)


def _span(rng: Rng, data: bytes) -> tuple[int, int]:
  start = int(rng.integers(len(data)))
  return start, min(len(data), start + int(rng.integers(1, 64)))


def _flip(rng: Rng, data: bytes, stop: int | None = None) -> bytes:
  changed = bytearray(data)
  for _ in range(int(rng.integers(1, 4))):
    changed[int(rng.integers(stop or len(data)))] ^= 1 << int(rng.integers(8))
  return bytes(changed)


def _zeros(rng: Rng, data: bytes) -> bytes:
  start, stop = _span(rng, data)
  return data[:start] + bytes(stop - start) + data[stop:]


def _without(rng: Rng, data: bytes) -> bytes:
  start, stop = _span(rng, data)
  return data[:start] + data[stop:]


def _twice(rng: Rng, data: bytes) -> bytes:
  start, stop = _span(rng, data)
  return data[:stop] + data[start:]


# Names without an underscore in front change length or kind: where a file says
# how long it is, they must be seen.
WAYS: dict[str, Way] = {
  "cut": lambda rng, data: data[: int(rng.integers(len(data)))],
  "last byte": lambda rng, data: data[:-1],
  "empty": lambda rng, data: b"",
  "head": lambda rng, data: data[: int(rng.integers(1, 12))],
  "longer": lambda rng, data: data + rng.bytes(int(rng.integers(1, 40))),
  "zeros after": lambda rng, data: data + bytes(int(rng.integers(1, 600))),
  "repeated": lambda rng, data: data + data,
  "bytes out": _without,
  "bytes twice": _twice,
  "html": lambda rng, data: HTML,
  "pickle": lambda rng, data: PICKLE,
  "noise": lambda rng, data: rng.bytes(max(1, len(data) // 2)),
  "gzip": lambda rng, data: gzip.compress(data, mtime=0),
  "xz": lambda rng, data: lzma.compress(data),
  "all zero": lambda rng, data: bytes(len(data)),
  "flipped": _flip,
  "flipped head": lambda rng, data: _flip(rng, data, min(len(data), 24)),
  "zeros": _zeros,
}
# These keep the length.
INSIDE = ("all zero", "flipped", "flipped head", "zeros")


def misplace(rng: Rng, path: pathlib.Path) -> str:
  """Puts something else in the place of a file; returns what."""
  kind = str(rng.choice(["folder", "missing", "dangling link"]))
  path.unlink()
  if kind == "folder":
    path.mkdir()
  elif kind == "dangling link":
    path.symlink_to(path.with_name("nowhere"))
  return kind


VALUES = (
  None, True, False, 0, -1, 1, 3, 10**30, 1.5, float("nan"), float("inf"), "",
  "8", "x", [], [1], [[]], {}, {"a": 1}, {"__float__": "x"},
)  # fmt: skip


def json_text(rng: Rng, data: Any) -> tuple[str, bytes]:
  """Changes the JSON of an object: what was changed, and the new text."""
  data = json.loads(json.dumps(data))
  place, key = data, None
  keys = list(data)
  if keys:
    key = keys[int(rng.integers(len(keys)))]
    if isinstance(data[key], dict) and data[key] and rng.random() < 0.7:
      place = data[key]
      key = list(place)[int(rng.integers(len(place)))]
  what = str(
    rng.choice(["value", "value", "value", "gone", "renamed", "whole", "text"])
  )
  if what == "value":
    place[key] = VALUES[int(rng.integers(len(VALUES)))]
    what = f"{key} = {place[key]!r}"
  elif what == "gone":
    del place[key]
    what = f"no {key}"
  elif what == "renamed":
    place[f"{key}x"] = place.pop(key)
    what = f"{key}x"
  text = json.dumps(data)
  if what == "whole":
    text = str(rng.choice(["[]", "null", "3", '"x"', "{}", "NaN", "[{}]"]))
    what = text
  elif what == "text":
    odd = {
      "deep": "[" * 200_000,
      "deep object": '{"a":' * 50_000,
      "open": text[:-1],
      "comma": text[:-1] + ",}",
      "twice": text[:-1] + f', "{keys[0]}": {json.dumps(data[keys[0]])}}}',
      "long number": text[:-1] + ', "a": ' + "9" * 5000 + "}",
      "two": text + text,
      "single quotes": text.replace('"', "'"),
      "latin-1": text[:-1] + ', "a": "é"}',
      "utf-16": text,
    }
    what = list(odd)[int(rng.integers(len(odd)))]
    encoding = what if what in ("latin-1", "utf-16") else "utf-8"
    return what, odd[what].encode(encoding)
  return what, text.encode()


def clear(folder: pathlib.Path) -> None:
  """Empties a folder."""
  shutil.rmtree(folder, ignore_errors=True)
  folder.mkdir(parents=True)
