"""Readers of xz, npz and IDX files that raise on any damage.

Errors name the file and the fault. Bytes after the end of a stream and a second
layer of compression are errors too.
"""

import gzip
import io
import lzma
import math
import pathlib
import struct
import zipfile
import zlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

_GZIP, _XZ = b"\x1f\x8b", b"\xfd7zXZ\x00"
# Raised by numpy and zipfile for damaged archives.
_BROKEN = (
  ValueError, TypeError, KeyError, EOFError, OSError, RuntimeError, MemoryError,
  SyntaxError, struct.error, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
)  # fmt: skip
_HEADERS = {
  (1, 0): np.lib.format.read_array_header_1_0,
  (2, 0): np.lib.format.read_array_header_2_0,
}
_RANKS = 4  # the highest rank of an IDX file
_UNSIGNED_BYTE = 8  # IDX's code of a type


class Header(NamedTuple):
  """Type and shape of an array."""

  dtype: np.dtype
  shape: tuple[int, ...]


def unxz(path: pathlib.Path) -> bytes:
  """The content of an xz file of one stream.

  Raises:
    ValueError: the file is damaged, truncated, followed by other bytes, or
      compressed twice.
    OSError: it cannot be read.
  """
  data = path.read_bytes()
  if not data.startswith(_XZ):
    raise ValueError(f"{path} is no xz file: it begins with {data[:6]!r}.")
  stream = lzma.LZMADecompressor(lzma.FORMAT_XZ)
  try:
    content = stream.decompress(data)
  except lzma.LZMAError as error:
    raise ValueError(f"{path} is damaged: {error}.") from error
  if not stream.eof:
    raise ValueError(
      f"{path} ends before its xz stream does: {len(data)} bytes."
    )
  if stream.unused_data:
    raise ValueError(
      f"{path} continues after its xz stream: {len(stream.unused_data)} bytes."
    )
  return _once(content, path)


def text(path: pathlib.Path) -> str:
  """The text of an xz file.

  Raises:
    ValueError: as `unxz`, or the content is not UTF-8.
    OSError: it cannot be read.
  """
  try:
    return unxz(path).decode("utf-8")
  except UnicodeDecodeError as error:
    raise ValueError(f"{path} does not hold UTF-8: {error}.") from error


def arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
  """The arrays of an npz in an xz file.

  Raises:
    ValueError: as `unxz`, or the content is not an npz of plain arrays.
    OSError: it cannot be read.
  """
  content = unxz(path)
  try:
    with np.load(io.BytesIO(content)) as file:
      return {key: file[key] for key in file.files}
  except (*_BROKEN, AttributeError) as error:  # an array alone has no `files`
    raise ValueError(
      f"{path} does not hold an npz of plain arrays: {error}."
    ) from error


def npz_headers(path: pathlib.Path) -> dict[str, Header]:
  """Type and shape of every array of an npz, without reading any.

  Raises:
    ValueError: the file is damaged, or not an npz of plain arrays.
    OSError: it cannot be read.
  """
  found = {}
  try:
    with zipfile.ZipFile(path) as file:
      for name in file.namelist():
        with file.open(name) as member:
          version = np.lib.format.read_magic(member)
          shape, _, dtype = _HEADERS[version](member)
          found[name.removesuffix(".npy")] = Header(dtype, shape)
  except FileNotFoundError:
    raise
  except _BROKEN as error:
    raise ValueError(f"{path} is no npz of plain arrays: {error}.") from error
  for key, header in found.items():
    if header.dtype.hasobject:
      raise ValueError(
        f"{path}: {key!r} holds Python objects, which are not read: save it as"
        " an array of numbers."
      )
  return found


def npz_array(path: pathlib.Path, key: str) -> np.ndarray:
  """An array of an npz.

  Raises:
    ValueError: it is damaged.
    OSError: it cannot be read.
  """
  try:
    with np.load(path, allow_pickle=False) as file:
      return file[key]
  except FileNotFoundError:
    raise
  except _BROKEN as error:
    raise ValueError(f"{path}: {key!r} is damaged: {error}.") from error


def idx(path: pathlib.Path, shape: Iterable[int | None]) -> np.ndarray:
  """The values of an IDX file, gzipped or not, under any file name.

  The format (LeCun's MNIST page): two zero bytes, the type (8 = unsigned byte),
  the rank, the sizes in big-endian order, the values.

  Args:
    path: the file.
    shape: the expected shape; `None` stands for any number above 0.

  Raises:
    ValueError: the file is damaged, truncated, longer than its header says, or
      has another type or shape.
    OSError: it cannot be read.
  """
  wanted = tuple(shape)
  data = path.read_bytes()
  if data.startswith(_GZIP):
    try:
      data = _once(gzip.decompress(data), path)
    except (OSError, EOFError, zlib.error) as error:
      raise ValueError(f"{path} is a damaged gzip file: {error}.") from error
  if data[:2] != b"\0\0" or len(data) < 4 or not 1 <= data[3] <= _RANKS:
    raise ValueError(f"{path} is not an IDX file: it begins with {data[:4]!r}.")
  if data[2] != _UNSIGNED_BYTE:
    raise ValueError(
      f"{path} is an IDX file of type 0x{data[2]:02x}: it must be of unsigned"
      " bytes, 0x08."
    )
  rank = data[3]
  values = data[4 + 4 * rank :]
  if len(data) < 4 + 4 * rank:
    raise ValueError(f"{path} ends in its header: {len(data)} bytes.")
  got = struct.unpack_from(f">{rank}I", data, 4)
  if len(values) != math.prod(got):
    raise ValueError(
      f"{path} holds {len(values)} values, its header says {list(got)}."
    )
  if rank != len(wanted) or not all(
    g == w if w is not None else g > 0 for g, w in zip(got, wanted)
  ):
    raise ValueError(
      f"{path} has the shape {list(got)}: it must be"
      f" [{', '.join('N' if w is None else str(w) for w in wanted)}], N > 0."
    )
  return np.frombuffer(values, np.uint8).reshape(got)


def _once(content: bytes, path: pathlib.Path) -> bytes:
  if content.startswith((_GZIP, _XZ)):
    raise ValueError(f"{path} is compressed twice: unpack it once.")
  return content
