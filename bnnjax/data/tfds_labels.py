"""Labels of a prepared tfds split, read without its inputs and kept beside it.

A record's label is parsed alone: no image is decoded, no text tokenized. Still
every record has to be read once; what was found is stored in the data set's
folder, next to the files that it was read from, and used for as long as these
have the same names, sizes and times of change.
"""

import io
import json
import os
import pathlib
from typing import Any

import numpy as np

from bnnjax.data import tfds_records

_CHUNK = 256  # records in memory
_VERSION = 1  # of the stored file


def read(builder: Any, split: str, key: str) -> np.ndarray | None:
  """All labels of a split.

  Args:
    builder: of the prepared data set.
    split: its name.
    key: of the label among the features.

  Returns:
    int `[N]`, or None where the files are not on this machine (`gs://...`):
    reading them all would be a download.
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
  """What changes when the files do."""
  found = [(os.path.basename(f), os.stat(f)) for f in sorted(files)]
  return json.dumps(
    [_VERSION, [(name, s.st_size, s.st_mtime_ns) for name, s in found]]
  )


def _parse(builder: Any, split: str, key: str) -> np.ndarray:
  """Labels by the one feature of every record."""
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
  """Stored labels, or None: there are none, of other files, or damaged."""
  try:
    with np.load(io.BytesIO(path.read_bytes())) as file:
      labels, theirs = file["labels"], str(file["state"])
  except Exception:  # damaged in whatever way: it is only a copy
    return None
  fits = labels.shape == (count,) and labels.dtype.kind in "iu"
  return labels if fits and theirs == state else None


def _store(path: pathlib.Path, state: str, labels: np.ndarray) -> None:
  """Keeps labels, unless the folder cannot be written."""
  least, most = (
    (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
  )
  narrow = np.promote_types(np.min_scalar_type(least), np.min_scalar_type(most))
  data = io.BytesIO()
  np.savez_compressed(data, labels=labels.astype(narrow), state=state)
  draft = path.with_name(f"{path.name}.{os.getpid()}")
  try:
    draft.write_bytes(data.getvalue())
    draft.replace(path)  # at once: several processes may start together
  except OSError:
    draft.unlink(missing_ok=True)
