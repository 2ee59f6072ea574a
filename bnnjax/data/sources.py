"""Where examples come from: one interface; `by_name` opens them.

A source is random access: `len(source)`, and `source[i]` gives
`{"image": uint8 [H, W, C], "label": int}`, or `{"tokens": int32 [T], "label":
int}` for text, or other arrays in place of a label, as `windows` does. Families
register a function `(split, **options) -> Source` as kind "source", and beside
it, by `with_info`, what can be said without opening one; they live in files of
their own (`fashion_mnist`, `wordnet`, `plays` ..., and of your data
`image_folder`, `npz`, `text_file`, `hf`, `tfds_source`).
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from bnnjax.core import registry
from bnnjax.data import checks, digest

Example = dict[str, Any]
Make = TypeVar("Make", bound=Callable[..., Any])
_CHUNK = 1024  # examples in memory


class DataNotFoundError(FileNotFoundError):
  """A data set is not on this machine; the message says how to get it."""


class Kind(NamedTuple):
  """What the inputs of a data set are.

  Attributes:
    key: of an example and of a batch.
    plural: in messages.
    dtype: of an example, whose axes are `axes`.
  """

  key: str
  plural: str
  dtype: type
  axes: tuple[str, ...]


IMAGES = Kind("image", "images", np.uint8, ("height", "width", "channels"))
TEXT = Kind("tokens", "tokens", np.int32, ("tokens",))


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
  """What a model and a pipeline need to know of a data set.

  Attributes:
    name: as given to `load`.
    shape: `(H, W, C)` of an image, H and W None where they vary; `(T,)` of a
      text.
    num_classes: number of labels, which are 0 .. num_classes - 1; 0: there are
      none.
    mean: per channel, of pixels scaled to [0, 1]; empty for text.
    std: per channel, of pixels scaled to [0, 1]; empty for text.
    splits: number of examples of every split, where it is known.
    vocab: entries of the vocabulary, one more than the largest token; 0 for
      images.
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
    """`TEXT` where there is a vocabulary, else `IMAGES`."""
    return TEXT if self.vocab else IMAGES


class Source:
  """Random access to the examples of one split.

  Subclasses give `info`, `__len__` and `__getitem__`; those that can read many
  examples faster than one by one override `read` too, those that know the
  labels without reading the inputs `all_labels`. A source is pickled when a
  pipeline uses worker processes.
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
      An example's keys: `image` uint8 `[B, H, W, C]`, or a list where the sizes
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
    """All labels `[N]`, which are checked before anything else happens.

    None where they cannot be had without the inputs: then every batch is
    checked as it comes.
    """
    return None

  def digest(self) -> str:
    """Digest of what the source gives, wherever it comes from.

    A run is refused to go on where it has changed. This one reads every
    example: a subclass that knows its content without should override it.

    Raises:
      TypeError: an example holds other things than numbers and words.
    """
    parts = []
    for start in range(0, len(self), _CHUNK):
      some = self.read(np.arange(start, min(start + _CHUNK, len(self))))
      for key in sorted(some):
        arrays = map(np.asarray, some[key])
        parts.append(digest.of(key, *arrays))
    return digest.of(_meaning(self.info), parts)

  def vocabulary(self) -> str:
    """Digest of what each token means; empty where that is not known."""
    return ""


def _meaning(info: DatasetInfo) -> dict[str, Any]:
  """What a run reads of the description, beside the examples."""
  fields = ("num_classes", "mean", "std", "vocab")
  return {field: getattr(info, field) for field in fields}


def stack(images: list[np.ndarray]) -> np.ndarray | list[np.ndarray]:
  """Images as one array `[B, H, W, C]` if they are of one kind, else the list."""
  # Of one type, too: a stack of two would have the larger.
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
    ValueError: inputs or labels of another type or shape, tokens outside the
      vocabulary.
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
    """Digest of some of the examples."""
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
    if isinstance(self.source, ArraySource):  # however the part was written
      return self.source.digest_of(slice(self.range.start, self.range.stop))
    whole = self.source.digest()
    if len(self) == len(self.source):
      return whole
    return digest.of(whole, self.range.start, self.range.stop)

  def vocabulary(self):
    return self.source.vocabulary()


def with_info(info: Callable[..., DatasetInfo]) -> Callable[[Make], Make]:
  """Decorator of a source that says what it is without reading examples.

  One that is not decorated is opened when it is asked (`loading.info`).

  Args:
    info: takes the split and, by name, every option of the source.
  """

  def add(make: Make) -> Make:
    make.dataset_info = info
    return make

  return add


def check_split(name: str, split: str, splits: Mapping[str, Any]) -> None:
  """Refuses a split that is not there, with the nearest one."""
  if split not in splits:
    raise registry.unknown(f"split of data set {name!r}", split, splits)
