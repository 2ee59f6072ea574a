"""Digests of content, equal in every process and on every machine.

Equal content has equal digests, wherever it is stored; different content has
different ones, up to collisions of SHA-256.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

_SIZE = 32  # characters: 128 bits, so that runs do not collide by chance
_CHUNK = 2**20


def of(*parts: Any) -> str:
  """Digest of texts, bytes, arrays and JSON values, in this order.

  Values are compared by meaning: 1 equals 1.0, a tuple equals a list.

  Raises:
    TypeError: an array of objects, or a value that JSON cannot express.
  """
  hashed = hashlib.sha256()
  for part in parts:
    # Each part begins with its length: ("ab", "c") is not ("a", "bc").
    for piece in _pieces(part):
      hashed.update(piece)
  return hashed.hexdigest()[:_SIZE]


def of_files(paths: Iterable[str | os.PathLike]) -> str:
  """Digest of the content of files, in this order; names do not count."""
  whole = []
  for path in paths:
    hashed = hashlib.sha256()
    with open(path, "rb") as file:
      while chunk := file.read(_CHUNK):
        hashed.update(chunk)
    whole.append(hashed.hexdigest())
  return of(whole)


def hash_of(text: str, word: int = 0) -> int:
  """One of the four 64-bit words of the SHA-256 of a text, to split by."""
  hashed = hashlib.sha256(text.encode()).digest()
  return int.from_bytes(hashed[8 * word : 8 * word + 8])


def plain(value: Any) -> Any:
  """A JSON value that compares by meaning: 1.0 becomes 1, a tuple a list."""
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
    # As bytes: the buffer protocol has no bfloat16.
    yield np.ascontiguousarray(part).reshape(-1).view(np.uint8)
  elif isinstance(part, (bytes, bytearray, memoryview)):
    yield f"bytes {len(part)}\n".encode()
    yield part
  else:
    text = json.dumps(plain(part), sort_keys=True).encode()
    yield f"json {len(text)}\n".encode()
    yield text
