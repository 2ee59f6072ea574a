"""Where images come from: one interface, `load`, and splits by name.

A source is random access: `len(source)`, and `source[i]` gives
`{"image": uint8 [H, W, C], "label": int}`. Families register a function
`(split, **options) -> Source` as kind "source"; they live in files of their
own (`fashion_mnist`, `digits`, `fake`, `tfds_source`).
"""

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bnnjax.core import registry

Example = dict[str, Any]

_SPLIT = re.compile(r"(\w+)(?:\[(-?\d+%?)?:(-?\d+%?)?\])?")


class DataNotFoundError(FileNotFoundError):
  """A data set is not on this machine; the message says how to get it."""


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
  """What a model and a pipeline need to know of a data set.

  Attributes:
    name: as given to `load`.
    shape: `(H, W, C)` of an image; H and W are None where they vary.
    num_classes: number of labels, which are 0 .. num_classes - 1.
    mean: per channel, of pixels scaled to [0, 1].
    std: per channel, of pixels scaled to [0, 1].
    splits: number of examples of every split.
  """

  name: str
  shape: tuple[int | None, int | None, int]
  num_classes: int
  mean: tuple[float, ...]
  std: tuple[float, ...]
  splits: Mapping[str, int]


class Source:
  """Random access to the examples of one split.

  Subclasses give `info`, `__len__` and `__getitem__`; those that can read many
  examples faster than one by one override `read` too. A source is pickled
  when a pipeline uses worker processes.
  """

  info: DatasetInfo

  def __len__(self) -> int:
    raise NotImplementedError

  def __getitem__(self, index: int) -> Example:
    raise NotImplementedError

  def read(
    self, indices: Sequence[int]
  ) -> tuple[np.ndarray | list[np.ndarray], np.ndarray]:
    """Reads many examples.

    Args:
      indices: positions `[B]`.

    Returns:
      images, uint8 `[B, H, W, C]`, or a list where their sizes differ, and
      labels, int32 `[B]`.
    """
    examples = [self[int(i)] for i in indices]
    labels = np.array([e["label"] for e in examples], np.int32)
    return stack([e["image"] for e in examples]), labels


def stack(images: list[np.ndarray]) -> np.ndarray | list[np.ndarray]:
  """Images as one array `[B, H, W, C]` if they have one size, else the list."""
  same = all(image.shape == images[0].shape for image in images)
  return np.stack(images) if same else images


class ArraySource(Source):
  """A source held in memory.

  Args:
    images: uint8 `[N, H, W, C]`.
    labels: `[N]`.
    info: description of the data set.
  """

  def __init__(self, images: np.ndarray, labels: np.ndarray, info: DatasetInfo):
    if images.ndim != 4 or images.dtype != np.uint8:
      raise ValueError(
        "`images` must be uint8 [examples, height, width, channels]: got"
        f" {images.dtype} {images.shape}."
      )
    if len(images) != len(labels):
      raise ValueError(f"{len(images)} images, but {len(labels)} labels.")
    self.images = images
    self.labels = np.asarray(labels, np.int32)
    self.info = info

  def __len__(self) -> int:
    return len(self.images)

  def __getitem__(self, index: int) -> Example:
    return {"image": self.images[index], "label": int(self.labels[index])}

  def read(self, indices):
    return self.images[indices], self.labels[indices]


class Subset(Source):
  """The examples `start .. stop - 1` of another source."""

  def __init__(self, source: Source, start: int, stop: int):
    self.source = source
    self.range = range(start, stop)
    self.info = source.info

  def __len__(self) -> int:
    return len(self.range)

  def __getitem__(self, index: int) -> Example:
    return self.source[self.range[index]]

  def read(self, indices):
    return self.source.read(np.asarray(indices) + self.range.start)


def load(name: str, split: str = "train", **options: Any) -> Source:
  """Opens a data set by name.

  Args:
    name: a registered source (`fashion_mnist_mini`, `fashion_mnist`, `digits`,
      `fake`) or `tfds:<name>`.
    split: its name, or a part of it: `train[:90%]`, `test[100:200]`.
    **options: of that source, such as `data_dir`.

  Returns:
    The source.

  Raises:
    ValueError: unknown name, split or option; the nearest one is suggested.
    DataNotFoundError: the data set is not here; says how to get it.
    ImportError: the data set needs a package that is not installed.

  Example:
    >>> len(load("fashion_mnist_mini", "test"))
    2000
  """
  family, _, dataset = name.partition(":")
  if dataset:
    options["dataset"] = dataset
  make = registry.get("source", family)
  _check_options(make, name, options)
  match = _SPLIT.fullmatch(split.replace(" ", ""))
  if not match:
    raise ValueError(
      f"Cannot read the split {split!r}. Write it as 'train',"
      " 'train[:90%]' or 'test[100:200]'."
    )
  base, first, last = match.groups()
  source = make(base, **options)
  if first is None and last is None:
    return source
  start = _position(first, len(source), 0)
  stop = _position(last, len(source), len(source))
  if start >= stop:
    raise ValueError(
      f"The split {split!r} of {name!r} is empty: {base!r} has"
      f" {len(source)} examples."
    )
  return Subset(source, start, stop)


def check_split(name: str, split: str, splits: Mapping[str, Any]) -> None:
  """Refuses a split that is not there, with the nearest one."""
  if split not in splits:
    raise registry.unknown(f"split of data set {name!r}", split, splits)


def _position(text: str | None, length: int, default: int) -> int:
  if text is None:
    return default
  if text.endswith("%"):
    position = round(int(text[:-1]) * length / 100)
  else:
    position = int(text)
  return min(max(position + (length if position < 0 else 0), 0), length)


def _check_options(
  make: Callable[..., Source], name: str, options: Mapping[str, Any]
) -> None:
  known = list(inspect.signature(make).parameters)[1:]
  for option in options:
    if option not in known:
      raise registry.unknown(f"option of source {name!r}", option, known)
