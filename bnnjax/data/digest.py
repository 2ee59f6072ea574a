"""Digests of content: the same for every process and machine.

Two things have the same digest if, and as far as anybody can tell only if, they
hold the same, wherever they lie.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

_SIZE = 32  # characters, 128 bits: no two of anybody's runs meet by chance
_CHUNK = 2**20


def of(*parts: Any) -> str:
  """Of texts, bytes, arrays and plain JSON, in their order.

  Numbers count as numbers: 1 is 1.0, and a tuple is the list of its entries.

  Raises:
    TypeError: an array of objects, or what JSON has no word for.
  """
  hashed = hashlib.sha256()
  for part in parts:
    # The head says where a part ends, so that no two sequences of parts agree.
    for piece in _pieces(part):
      hashed.update(piece)
  return hashed.hexdigest()[:_SIZE]


def of_files(paths: Iterable[str | os.PathLike]) -> str:
  """Of the bytes of files, in their order; of their names nothing."""
  whole = []
  for path in paths:
    hashed = hashlib.sha256()
    with open(path, "rb") as file:
      while chunk := file.read(_CHUNK):
        hashed.update(chunk)
    whole.append(hashed.hexdigest())
  return of(whole)


def hash_of(text: str, word: int = 0) -> int:
  """One of the four 64-bit words of the SHA-256 of a text."""
  hashed = hashlib.sha256(text.encode()).digest()
  return int.from_bytes(hashed[8 * word : 8 * word + 8])


def plain(value: Any) -> Any:
  """A value as JSON that compares by meaning: 1.0 is 1, a tuple is a list."""
  if isinstance(value, Mapping):
    return {str(key): plain(entry) for key, entry in value.items()}
  if isinstance(value, (list, tuple)):
    return [plain(entry) for entry in value]
  if isinstance(value, np.generic):
    return plain(value.item())
  if isinstance(value, os.PathLike):
    return os.fspath(value)
  if isinstance(value, float) and value.is_integer():
    return int(value)
  return value


def _pieces(part: Any) -> Iterator[Any]:
  if isinstance(part, np.ndarray):
    if part.dtype.hasobject:
      raise TypeError(f"An array of {part.dtype} has no bytes of its own.")
    yield f"array {part.dtype.name} {part.shape}\n".encode()
    # As bytes: buffers know no bfloat16.
    yield np.ascontiguousarray(part).reshape(-1).view(np.uint8)
  elif isinstance(part, (bytes, bytearray, memoryview)):
    yield f"bytes {len(part)}\n".encode()
    yield part
  else:
    text = json.dumps(plain(part), sort_keys=True).encode()
    yield f"json {len(text)}\n".encode()
    yield text
