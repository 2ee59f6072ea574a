"""Labels of a prepared tfds split, read without its inputs and cached.

Only the label of a record is decoded, no image and no text; but every record
has to be read once. The labels are stored in the folder of the data set, and
used as long as its files keep their names, sizes and times of change.
"""

import io
import json
import os
import pathlib
from typing import Any

import numpy as np

from bnnjax.data import tfds_records

_CHUNK = 256  # records in memory at once
_VERSION = 1  # of the stored file


def read(builder: Any, split: str, key: str) -> np.ndarray | None:
  """All labels of a split.

  Args:
    builder: of the prepared data set.
    split: its name.
    key: of the label among the features.

  Returns:
    int `[N]`, or None if the files are remote (`gs://...`), since reading all
    of them would be a download.
  """
  files = [os.fspath(path) for path in builder.info.splits[split].filepaths]
  if any("://" in file for file in files):
    return None
  count = builder.info.splits[split].num_examples
  stored = pathlib.Path(builder.data_dir, f"labels-{split}-{key}.bnnjax.npz")
  state = _state(files)
  labels = _load(stored, state, count)
  if labels is None:
    labels = _parse(builder, split, key)
    _store(stored, state, labels)
  return labels


def _state(files: list[str]) -> str:
  """Names, sizes and times of change: another state means other content."""
  found = [(os.path.basename(f), os.stat(f)) for f in sorted(files)]
  return json.dumps(
    [_VERSION, [(name, s.st_size, s.st_mtime_ns) for name, s in found]]
  )


def _parse(builder: Any, split: str, key: str) -> np.ndarray:
  """Decodes the label of every record."""
  records = tfds_records.Records(builder, split, (key,))
  labels = [
    record[key]
    for start in range(0, len(records), _CHUNK)
    for record in records.__getitems__(
      range(start, min(start + _CHUNK, len(records)))
    )
  ]
  return np.array(labels, np.int64)


def _load(path: pathlib.Path, state: str, count: int) -> np.ndarray | None:
  """Stored labels, or None if they are missing, stale or damaged."""
  try:
    with np.load(io.BytesIO(path.read_bytes())) as file:
      labels, theirs = file["labels"], str(file["state"])
  except Exception:  # damaged in any way: it is only a cache
    return None
  fits = labels.shape == (count,) and labels.dtype.kind in "iu"
  return labels if fits and theirs == state else None


def _store(path: pathlib.Path, state: str, labels: np.ndarray) -> None:
  """Stores labels, unless the folder is read-only."""
  least, most = (
    (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
  )
  narrow = np.promote_types(np.min_scalar_type(least), np.min_scalar_type(most))
  data = io.BytesIO()
  np.savez_compressed(data, labels=labels.astype(narrow), state=state)
  draft = path.with_name(f"{path.name}.{os.getpid()}")
  try:
    draft.write_bytes(data.getvalue())
    draft.replace(path)  # atomic: several processes may start together
  except OSError:
    draft.unlink(missing_ok=True)
