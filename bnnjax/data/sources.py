"""The interface of data sets: `Source` and `DatasetInfo`.

A source gives random access to examples: `len(source)`, and `source[i]` is
`{"image": uint8 [H, W, C], "label": int}`, or `{"tokens": int32 [T], "label":
int}` for text; `windows` has other arrays instead of a label.

To add a data set, write a file with a function `(split, **options) -> Source`
and register it as kind "source"; `with_info` adds a description that does not
need the examples. `digits` is the shortest one. For your own data there are
`image_folder`, `npz`, `text_file`, `hf` and `tfds_source`. `loading` opens data
sets by name.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from bnnjax.core import registry
from bnnjax.data import checks, digest

Example = dict[str, Any]
Make = TypeVar("Make", bound=Callable[..., Any])
_CHUNK = 1024  # examples in memory at once


class DataNotFoundError(FileNotFoundError):
  """A data set is not on this machine; the message says how to get it."""


class Kind(NamedTuple):
  """The kind of inputs of a data set.

  Attributes:
    key: of the inputs in an example and in a batch.
    plural: for messages.
    dtype: of an input.
    axes: names of its axes.
  """

  key: str
  plural: str
  dtype: type
  axes: tuple[str, ...]


IMAGES = Kind("image", "images", np.uint8, ("height", "width", "channels"))
TEXT = Kind("tokens", "tokens", np.int32, ("tokens",))


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
  """Description of a data set, for models and pipelines.

  Attributes:
    name: as given to `load`.
    shape: `(H, W, C)` of an image, H or W None if it varies; `(T,)` of a text.
    num_classes: labels are 0 .. num_classes - 1; 0 if there are none.
    mean: per channel, of pixels scaled to [0, 1]; empty for text.
    std: per channel, of pixels scaled to [0, 1]; empty for text.
    splits: number of examples of every split, if known.
    vocab: entries of the vocabulary, the largest token + 1; 0 for images.
  """

  name: str
  shape: tuple[int | None, ...]
  num_classes: int
  mean: tuple[float, ...] = ()
  std: tuple[float, ...] = ()
  splits: Mapping[str, int] = dataclasses.field(default_factory=dict)
  vocab: int = 0

  @property
  def kind(self) -> Kind:
    """`TEXT` if there is a vocabulary, else `IMAGES`."""
    return TEXT if self.vocab else IMAGES


class Source:
  """Random access to the examples of one split.

  Subclasses define `info`, `__len__` and `__getitem__`. Override `read` if many
  examples can be read faster than one by one, and `all_labels` if the labels
  are known without the inputs. A pipeline with worker processes pickles its
  source.
  """

  info: DatasetInfo

  def __len__(self) -> int:
    raise NotImplementedError

  def __getitem__(self, index: int) -> Example:
    raise NotImplementedError

  def read(self, indices: Sequence[int]) -> dict[str, Any]:
    """Reads many examples.

    Args:
      indices: positions `[B]`.

    Returns:
      The keys of an example: `image` uint8 `[B, H, W, C]`, or a list if sizes
      differ, or `tokens` int32 `[B, T]`; `label` int32 `[B]`; and others.
    """
    examples = [self[int(i)] for i in indices]
    columns = {key: [e[key] for e in examples] for key in examples[0]}
    name = self.info.name
    return {
      key: checks.integers(values, name, indices)
      if key == "label"
      else stack(values)
      for key, values in columns.items()
    }

  def all_labels(self) -> np.ndarray | None:
    """All labels `[N]`, which are checked at the start.

    None if they are not known without the inputs; then every batch is checked.
    """
    return None

  def digest(self) -> str:
    """Digest of the content of the source, wherever it is stored.

    A run does not resume if it has changed. This implementation reads every
    example; override it if there is a faster way.

    Raises:
      TypeError: an example holds anything but numbers and strings.
    """
    parts = []
    for start in range(0, len(self), _CHUNK):
      some = self.read(np.arange(start, min(start + _CHUNK, len(self))))
      for key in sorted(some):
        arrays = map(np.asarray, some[key])
        parts.append(digest.of(key, *arrays))
    return digest.of(_meaning(self.info), parts)

  def vocabulary(self) -> str:
    """Digest of the meaning of every token; empty if it is not known."""
    return ""


def _meaning(info: DatasetInfo) -> dict[str, Any]:
  """The part of the description that affects a run, beside the examples."""
  fields = ("num_classes", "mean", "std", "vocab")
  return {field: getattr(info, field) for field in fields}


def stack(images: list[np.ndarray]) -> np.ndarray | list[np.ndarray]:
  """One array `[B, H, W, C]` if all shapes and types agree, else the list."""
  # `np.stack` would promote different types.
  first = images[0]
  same = all(i.shape == first.shape and i.dtype == first.dtype for i in images)
  return np.stack(images) if same else images


class ArraySource(Source):
  """A source held in memory.

  Args:
    inputs: images, uint8 `[N, H, W, C]`, or tokens, int32 `[N, T]`.
    labels: ints `[N]`.
    info: description of the data set.
    vocabulary: of tokens, see `Source.vocabulary`.

  Raises:
    ValueError: inputs or labels have another type or shape, or tokens are
      outside the vocabulary.
  """

  def __init__(
    self,
    inputs: np.ndarray,
    labels: np.ndarray,
    info: DatasetInfo,
    vocabulary: str = "",
  ):
    _, plural, dtype, axes = info.kind
    if inputs.ndim != 1 + len(axes) or inputs.dtype != dtype:
      raise ValueError(
        f"`inputs` must be {dtype.__name__} [examples, {', '.join(axes)}]: got"
        f" {inputs.dtype} {inputs.shape}."
      )
    self.labels = checks.integers(labels, info.name)
    if len(inputs) != len(self.labels):
      raise ValueError(
        f"{len(inputs)} {plural}, but {len(self.labels)} labels."
      )
    if info.vocab:
      checks.tokens(inputs, info)
    self.inputs = inputs
    self.info = info
    self._vocabulary = vocabulary

  def __len__(self) -> int:
    return len(self.inputs)

  def __getitem__(self, index: int) -> Example:
    key, label = self.info.kind.key, int(self.labels[index])
    return {key: self.inputs[index], "label": label}

  def read(self, indices):
    key = self.info.kind.key
    return {key: self.inputs[indices], "label": self.labels[indices]}

  def all_labels(self):
    return self.labels

  def digest(self):
    return self.digest_of(slice(None))

  def digest_of(self, part: slice) -> str:
    """Digest of a part of the examples."""
    return digest.of(
      _meaning(self.info),
      self._vocabulary,
      self.inputs[part],
      self.labels[part],
    )

  def vocabulary(self):
    return self._vocabulary


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

  def all_labels(self):
    labels = self.source.all_labels()
    return (
      None if labels is None else labels[self.range.start : self.range.stop]
    )

  def digest(self):
    if isinstance(self.source, ArraySource):  # "[:50%]" may equal "[:100]"
      return self.source.digest_of(slice(self.range.start, self.range.stop))
    whole = self.source.digest()
    if len(self) == len(self.source):
      return whole
    return digest.of(whole, self.range.start, self.range.stop)

  def vocabulary(self):
    return self.source.vocabulary()


def with_info(info: Callable[..., DatasetInfo]) -> Callable[[Make], Make]:
  """Decorator that gives a source a description without reading examples.

  `loading.info` opens a source that has none.

  Args:
    info: takes the split and, by keyword, every option of the source.
  """

  def add(make: Make) -> Make:
    make.dataset_info = info
    return make

  return add


def check_split(name: str, split: str, splits: Mapping[str, Any]) -> None:
  """Raises for an unknown split, and suggests the nearest."""
  if split not in splits:
    raise registry.unknown(f"split of data set {name!r}", split, splits)
