"""Arrow files, memory-mapped and validated by pyarrow.

An Arrow stream has no checksum. Its end, its offsets and the UTF-8 of its texts
are checked; the values themselves cannot be.
"""

import functools
import os
from typing import Any

_END = b"\xff\xff\xff\xff\0\0\0\0"  # of a stream
Files = tuple[str, ...]
State = tuple[tuple[int, int], ...]


def table(files: Files) -> Any:
  """The memory-mapped table of some files.

  Raises:
    ImportError: pyarrow is not installed; the message names the extra.
    ValueError: a file is truncated or damaged; the message names it.
    OSError: a file cannot be read.
  """
  return _mapped(files, _state(files))


def columns(files: Files, keys: tuple[str, ...]) -> Any:
  """Some columns, validated and without missing values.

  Raises:
    ValueError: as `table`, or some records lack a column.
  """
  return _checked(files, keys, _state(files))


def _state(files: Files) -> State:
  """Sizes and times of change: another state means other content."""
  stats = [os.stat(file) for file in files]
  return tuple((s.st_size, s.st_mtime_ns) for s in stats)


@functools.lru_cache(maxsize=8)
def _checked(files: Files, keys: tuple[str, ...], state: State) -> Any:
  table = _mapped(files, state).select(list(keys))
  try:
    table.validate(full=True)  # checks offsets and UTF-8
  except ValueError as error:
    raise _damaged(files, error) from error
  for key in keys:
    if missing := table.column(key).null_count:
      raise ValueError(
        f"{missing} records of {files[0]} have no {key!r}: filter them out before"
        " the set is saved."
      )
  return table


@functools.lru_cache(
  maxsize=8
)  # not an attribute of a source, which is pickled
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
      _ = table.column_names  # decodes them
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
