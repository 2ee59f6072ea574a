"""Files of Arrow, mapped into memory by pyarrow and made sure of.

A stream of Arrow has no checksum: that it ends where it should, that offsets lie
inside and texts are UTF-8 is looked at, numbers and letters are believed.
"""

import functools
import os
from typing import Any

_END = b"\xff\xff\xff\xff\0\0\0\0"  # of a stream
Files = tuple[str, ...]
State = tuple[tuple[int, int], ...]


def table(files: Files) -> Any:
  """The table of some files, mapped into memory.

  Raises:
    ImportError: pyarrow is not installed; names the extra.
    ValueError: a file is cut or damaged; names it.
    OSError: a file cannot be read.
  """
  return _mapped(files, _state(files))


def columns(files: Files, keys: tuple[str, ...]) -> Any:
  """Some columns, sound and without gaps.

  Raises:
    ValueError: as `table`, or records that lack one; names it.
  """
  return _checked(files, keys, _state(files))


def _state(files: Files) -> State:
  """What changes when the files do."""
  stats = [os.stat(file) for file in files]
  return tuple((s.st_size, s.st_mtime_ns) for s in stats)


@functools.lru_cache(maxsize=8)
def _checked(files: Files, keys: tuple[str, ...], state: State) -> Any:
  table = _mapped(files, state).select(list(keys))
  try:
    table.validate(full=True)  # offsets, and that texts are UTF-8
  except ValueError as error:
    raise _damaged(files, error) from error
  for key in keys:
    if missing := table.column(key).null_count:
      raise ValueError(
        f"{missing} records of {files[0]} have no {key!r}: filter them out before"
        " the set is saved."
      )
  return table


@functools.lru_cache(maxsize=8)  # not kept by a source: it would be pickled
def _mapped(files: Files, state: State) -> Any:
  del state
  try:
    import pyarrow as pa
  except ImportError as error:
    raise ImportError(
      "Data sets saved by `datasets` are read by pyarrow, which is not installed."
      " Get it with `pip install 'bnnjax[hf]'`."
    ) from error
  tables = []
  for file in files:
    with open(file, "rb") as stream:
      stream.seek(max(0, os.path.getsize(file) - len(_END)))
      if stream.read() != _END:
        raise ValueError(f"{file} ends before its Arrow stream does.")
    try:
      with pa.memory_map(file) as source:
        table = pa.ipc.open_stream(source).read_all()
      _ = table.column_names  # are decoded here
    except (pa.ArrowException, ValueError, OSError) as error:
      raise _damaged((file,), error) from error
    tables.append(table)
  try:
    return pa.concat_tables(tables)
  except pa.ArrowException as error:
    raise _damaged(files, error) from error


def _damaged(files: Files, error: Exception) -> ValueError:
  reason = " ".join(str(error).split())[:200].rstrip(".")
  return ValueError(f"{', '.join(files[:2])} cannot be read: {reason}.")
