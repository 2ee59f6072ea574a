"""Your own arrays in a numpy file, `npz:PATH`.

    np.savez_compressed(
      "mine.npz", x_train=images, y_train=labels, x_test=..., y_test=...
    )

Keys are `x_SPLIT` and `y_SPLIT`, as in Keras, `SPLIT_images` and
`SPLIT_labels`, or `images` and `labels` of the one split `train`; `tokens` may
replace `images`. Images are uint8 `[N, H, W]` or `[N, H, W, C]`, tokens whole
numbers `[N, T]`, labels whole numbers `[N]` or `[N, 1]`. Arrays of Python
objects raise an error.
"""

import functools
import pathlib
import re
from typing import NamedTuple

import numpy as np

from bnnjax.core import registry
from bnnjax.data import archives, checks, sources

# Key of the inputs, key of their labels; both contain the split.
_KEYS = (
  (re.compile(r"x_(?P<split>\w+)"), "y_{split}"),
  (re.compile(r"(?P<split>\w+)_(images|tokens)"), "{split}_labels"),
  (re.compile(r"(images|tokens)|x"), "labels"),
)
TRAIN = "train"  # the split of keys that name none
_FORMS = (
  "images are uint8 [N, height, width] or [N, height, width, channels], tokens"
  " whole numbers [N, tokens]"
)


class _Pair(NamedTuple):
  """Keys of the inputs and labels of a split; type and shape of the inputs."""

  inputs: str
  labels: str
  header: archives.Header


def _info(
  split: str, *, path: str, num_classes: int, vocab: int
) -> sources.DatasetInfo:
  if num_classes < 0 or vocab < 0:
    raise ValueError(
      "`num_classes` and `vocab` must be above 0, or 0 for what the file holds:"
      f" got {num_classes} and {vocab}."
    )
  file = _file(path)
  stat = file.stat()
  info = _described(file, stat.st_size, stat.st_mtime_ns, num_classes, vocab)
  sources.check_split(info.name, split, info.splits)
  return info


@registry.register("source", "npz")
@sources.with_info(_info)
def npz(
  split: str, *, path: str = "", num_classes: int = 0, vocab: int = 0
) -> sources.Source:
  """Arrays of an npz file, `npz:PATH`.

  Args:
    split: as in the keys; "train" if they name none.
    path: the part after the colon.
    num_classes: 0 means the largest label of all splits + 1; labels of the
      training split must then begin at 0.
    vocab: entries of the vocabulary; 0 means the largest token + 1.

  Raises:
    DataNotFoundError: no such file.
    ValueError: the file is damaged, or holds other arrays; names the key.
  """
  info = _info(split, path=path, num_classes=num_classes, vocab=vocab)
  file = _file(path)
  pair = _pairs(file)[split]
  inputs = archives.npz_array(file, pair.inputs)
  labels = _labels(file, pair.labels, info.name)
  if info.vocab:
    return sources.ArraySource(_tokens(inputs, pair.inputs, file), labels, info)
  return sources.ArraySource(
    inputs.reshape(len(inputs), *info.shape), labels, info
  )


def _file(path: str) -> pathlib.Path:
  file = pathlib.Path(path).expanduser()
  if not path or not file.is_file():
    near = registry.nearest(
      file.name, [f.name for f in file.parent.glob("*.npz")]
    )
    kind = " It is a folder." if path and file.is_dir() else near
    raise sources.DataNotFoundError(
      f"No npz file {path!r}: write it as 'npz:PATH'.{kind}"
    )
  return file


@functools.lru_cache(maxsize=4)  # every split of a run asks for it
def _described(
  file: pathlib.Path, size: int, changed: int, num_classes: int, vocab: int
) -> sources.DatasetInfo:
  """Description from the headers; from labels and tokens if options are 0."""
  del size, changed
  name, pairs = f"npz:{file}", _pairs(file)
  shapes = {split: _shape(file, pair) for split, pair in pairs.items()}
  (first, shape), *others = shapes.items()
  for split, other in others:
    if other != shape:
      raise ValueError(
        f"{file}: {pairs[first].inputs!r} holds examples of shape {shape},"
        f" {pairs[split].inputs!r} of {other}."
      )
  if not num_classes:
    found = {s: _labels(file, pair.labels, name) for s, pair in pairs.items()}
    headers = archives.npz_headers(file)
    dtypes = {str(headers[pair.labels].dtype) for pair in pairs.values()}
    way = "say their number with `num_classes`"
    num_classes = checks.counted(found, name, dtypes, way)
  splits = {split: pair.header.shape[0] for split, pair in pairs.items()}
  if len(shape) == 3:
    if vocab:
      raise ValueError(f"{file} holds images: leave out the option `vocab`.")
    mean, std = (0.5,) * shape[2], (0.25,) * shape[2]
    return sources.DatasetInfo(name, shape, num_classes, mean, std, splits)
  if not vocab:
    keys = [pair.inputs for pair in pairs.values()]
    found = [_tokens(archives.npz_array(file, k), k, file) for k in keys]
    vocab = 1 + max(int(tokens.max()) for tokens in found)
  return sources.DatasetInfo(
    name, shape, num_classes, splits=splits, vocab=vocab
  )


def _pairs(file: pathlib.Path) -> dict[str, _Pair]:
  """Inputs and labels by split."""
  headers = archives.npz_headers(file)
  found = {}
  for key, header in headers.items():
    for inputs, labels in _KEYS:
      if not (match := inputs.fullmatch(key)):
        continue
      split = match.groupdict().get("split") or TRAIN
      labels = labels.format(split=split)
      labels = "y" if key == "x" else labels
      if labels not in headers:
        raise ValueError(
          f"{file} has {key!r}, but no {labels!r}."
          f"{registry.nearest(labels, headers)}"
        )
      sizes = [headers[k].shape[:1] for k in (key, labels)]
      if sizes[0] != sizes[1]:
        raise ValueError(
          f"{file}: {key!r} is {list(header.shape)}, {labels!r}"
          f" {list(headers[labels].shape)}: they must be of as many examples."
        )
      if split in found:
        raise ValueError(
          f"{file} has {found[split].inputs!r} and {key!r}, both of the split"
          f" {split!r}: leave one out."
        )
      found[split] = _Pair(key, labels, header)
      break
  if not found:
    raise ValueError(
      f"{file} must hold x_train, y_train, x_test and y_test, or images and"
      f" labels (or tokens): got {', '.join(sorted(headers)) or 'nothing'}."
    )
  return found


def _shape(file: pathlib.Path, pair: _Pair) -> tuple[int, ...]:
  """Shape of an example; raises unless the inputs are images or tokens."""
  key, _, (dtype, shape) = pair
  what = f"{file}: {key!r} is {dtype} {list(shape)}"
  if not shape or not all(shape):
    raise ValueError(f"{what}: it holds no example.")
  if len(shape) == 2 and dtype.kind in "iu":
    if dtype == np.uint8 and "tokens" not in key:
      raise ValueError(
        f"{what}: reshape images to [N, height, width]; name tokens so (of uint8,"
        " they might be flattened images)."
      )
    return shape[1:]
  if dtype != np.uint8 or len(shape) not in (3, 4) or "tokens" in key:
    raise ValueError(f"{what}: {_FORMS}.")
  if len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3):
    raise ValueError(
      f"{what}: its channels come first; `np.moveaxis(x, 1, -1)` puts them last."
    )
  return (*shape[1:], 1)[:3]


def _labels(file: pathlib.Path, key: str, name: str) -> np.ndarray:
  labels = archives.npz_array(file, key)
  if labels.ndim == 2 and labels.shape[1] == 1:
    labels = labels[:, 0]
  if not labels.size:
    raise ValueError(f"{file}: {key!r} holds no label.")
  try:
    labels = checks.integers(labels, name)
  except ValueError as error:
    raise ValueError(f"{file}: {key!r}: {error}") from error
  if labels.min() < 0:
    raise ValueError(
      f"{file}: {key!r} must be numbers of classes, from 0: record"
      f" {int(labels.argmin())} is {labels.min()}."
    )
  return labels


def _tokens(tokens: np.ndarray, key: str, file: pathlib.Path) -> np.ndarray:
  most = np.iinfo(np.int32).max
  if tokens.min() < 0 or tokens.max() >= most:
    raise ValueError(
      f"{file}: {key!r} holds {tokens.min()} .. {tokens.max()}: tokens are 0 .."
      f" {most - 1}."
    )
  return tokens.astype(np.int32)
