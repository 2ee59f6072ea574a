"""Data sets whose records have named features, such as those of tfds.

A `Table` says which features a set has and reads them; `tfds_source` and `hf`
implement it. `load` makes one of three sources of any table: images with a
label, texts or pairs of texts with a label, or all texts of a split as one, for
language modelling.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bnnjax.core.settings import Settings
from bnnjax.data import (
  checks,
  digest,
  embedded,
  sources,
  utf8,
  windows,
  wordpiece,
)

END = "\0"  # after each packed text; every tokenizer of `lm_tokenizers` has it
Record = dict[str, Any]
Inputs = np.ndarray | list[np.ndarray]


class Table:
  """A data set with named features.

  Attributes:
    name: as given to `load`.
    features: descriptions by name.
    splits: number of records of every split.
    mean_std: per channel of the images, if known.
  """

  name: str
  features: Mapping[str, Any]
  splits: Mapping[str, int]
  mean_std: tuple[tuple[float, ...], tuple[float, ...]] | None = None

  def image_shape(self, key: str) -> tuple[int | None, int | None, int]:
    """Shape of an image, H or W None if it varies; raises if it is none."""
    raise NotImplementedError

  def num_classes(self, key: str) -> int:
    """Number of classes of a label; raises if the feature is no label."""
    raise NotImplementedError

  def check_text(self, key: str) -> None:
    """Raises unless a feature is a text."""
    raise NotImplementedError

  def records(self, split: str, keys: Sequence[str]) -> Any:
    """Some features of a split, with a length, `[i]` and `__getitems__`."""
    raise NotImplementedError

  def labels(self, split: str, key: str) -> np.ndarray | None:
    """All labels `[N]`, see `Source.all_labels`."""
    raise NotImplementedError

  def content(self, split: str, keys: Sequence[str]) -> str:
    """Digest of some features of a split."""
    raise NotImplementedError

  def feature(self, key: str, option: str) -> Any:
    """A feature; `option` of the source chooses it."""
    if key not in self.features:
      raise ValueError(
        f"{self.name!r} has no feature {key!r}; it has"
        f" {', '.join(sorted(self.features))}. Choose one with `{option}`."
      )
    return self.features[key]


class TableSource(sources.Source):
  """Records of a table with a label.

  Args:
    data: the records.
    info: description of the data set.
    label_key: feature that holds the class.
    inputs: makes images or tokens `[B, ...]` of records.
    labels: all labels `[N]`, or None if they are unknown.
    content: digest of the records.
    vocabulary: of tokens, see `Source.vocabulary`.
  """

  def __init__(
    self,
    data: Any,
    info: sources.DatasetInfo,
    label_key: str,
    inputs: Callable[[list[Record]], Inputs],
    labels: np.ndarray | None = None,
    content: str = "",
    vocabulary: str = "",
  ):
    self.info = info
    self._data = data
    self._label_key = label_key
    self._inputs = inputs
    self._labels = labels
    self._content = content
    self._vocabulary = vocabulary

  def __len__(self) -> int:
    return len(self._data)

  def __getitem__(self, index: int) -> sources.Example:
    record = self._data[index]
    key, label = self.info.kind.key, int(record[self._label_key])
    return {key: self._inputs([record])[0], "label": label}

  def read(self, indices):
    records = self._data.__getitems__([int(i) for i in indices])
    labels = [record[self._label_key] for record in records]
    labels = checks.integers(labels, self.info.name, indices)
    return {self.info.kind.key: self._inputs(records), "label": labels}

  def all_labels(self):
    return self._labels

  def digest(self):
    if not self._content:
      return super().digest()
    info = self.info.shape, self.info.mean, self.info.std
    return digest.of(self._content, info, self._vocabulary)

  def vocabulary(self):
    return self._vocabulary


def load(table: Table, split: str, options: Settings) -> sources.Source:
  """Opens a split.

  Args:
    table: the data set.
    split: its name.
    options: `image_key`, `label_key`, `text`, `vocab_file`, `lowercase`,
      `max_len`, `tokenizer` and `context`, see `tfds_source.tfds`.

  Raises:
    ValueError: an unknown split or feature, a feature of another kind, or an
      option that this use of the set does not read.
  """
  sources.check_split(table.name, split, table.splits)
  return _use(table, options).load(split)


def info(table: Table, split: str, options: Settings) -> sources.DatasetInfo:
  """Description of what `load` would open, without reading records.

  The splits of a set that is not on this machine are unknown.
  """
  if table.splits:
    sources.check_split(table.name, split, table.splits)
  return _use(table, options).info()


def _use(table: Table, options: Settings) -> Any:
  text = options["text"]
  kind = _Packed if options["tokenizer"] else _Texts if text else _Images
  made = kind(table, options)
  options.refuse_unread(f"of {kind.name}")
  return made


class _Images:
  name = "images"

  def __init__(self, table: Table, options: Settings):
    self._table = table
    self._key, self._label = options["image_key"], options["label_key"]
    self._classes = table.num_classes(self._label)
    self._shape = table.image_shape(self._key)

  def info(self) -> sources.DatasetInfo:
    channels = self._shape[2]
    default = (0.5,) * channels, (0.25,) * channels
    mean, std = self._table.mean_std or default
    return sources.DatasetInfo(
      self._table.name,
      self._shape,
      self._classes,
      mean,
      std,
      self._table.splits,
    )

  def load(self, split: str) -> sources.Source:
    keys = self._key, self._label
    return TableSource(
      self._table.records(split, keys),
      self.info(),
      self._label,
      functools.partial(_images, key=self._key),
      self._table.labels(split, self._label),
      self._table.content(split, keys),
    )


class _Texts:
  name = "texts"

  def __init__(self, table: Table, options: Settings):
    self._table, self._label = table, options["label_key"]
    self._keys = _keys(table, options)
    self._classes = table.num_classes(self._label)
    self._encoder = wordpiece.Tokenizer.from_file(
      options["vocab_file"] or embedded.WORDNET_VOCAB,
      options["max_len"],
      lowercase=options["lowercase"],
    )

  def info(self) -> sources.DatasetInfo:
    return sources.DatasetInfo(
      self._table.name,
      (self._encoder.max_len,),
      self._classes,
      splits=self._table.splits,
      vocab=len(self._encoder),
    )

  def load(self, split: str) -> sources.Source:
    keys = *self._keys, self._label
    return TableSource(
      self._table.records(split, keys),
      self.info(),
      self._label,
      functools.partial(_tokens, keys=self._keys, encoder=self._encoder),
      self._table.labels(split, self._label),
      self._table.content(split, keys),
      self._encoder.digest(),
    )


class _Packed:
  name = "language modelling"

  def __init__(self, table: Table, options: Settings):
    self._name = table.name
    self._text = functools.partial(_joined, table, _keys(table, options))
    names = "max_len", "tokenizer", "vocab_file", "context"
    self._options = {name: options[name] for name in names}

  def info(self) -> sources.DatasetInfo:
    return windows.info(self._name, self._text, **self._options)

  def load(self, split: str) -> sources.Source:
    return windows.pack(self._name, self._text, split, **self._options)


def _keys(table: Table, options: Settings) -> tuple[str, ...]:
  """The features that the option `text` names."""
  text = options["text"]
  keys = (text,) if text and isinstance(text, str) else tuple(text)
  for key in keys:
    table.check_text(key)
  if len(keys) > 2:
    raise ValueError(
      f"`text` names one feature or the two of a pair: got {', '.join(keys)}."
    )
  return keys


def _images(records: list[Record], key: str) -> Inputs:
  return sources.stack([record[key] for record in records])


def _tokens(
  records: list[Record], keys: Sequence[str], encoder: wordpiece.Tokenizer
) -> Inputs:
  texts = [tuple(_text(r, key) for key in keys) for r in records]
  return encoder.encode([t if len(keys) == 2 else t[0] for t in texts])


def _joined(table: Table, keys: Sequence[str], split: str) -> str:
  """All texts of a split, each followed by `END`."""
  if len(keys) != 1:
    raise ValueError(
      '`tokenizer` packs the texts of one feature, such as `text="text"`: got'
      f" {keys}."
    )
  sources.check_split(table.name, split, table.splits)
  records = table.records(split, keys)
  return "".join(_text(r, keys[0]) + END for r in records)


def _text(record: Record, key: str) -> str:
  value = record[key]
  if isinstance(value, str):
    return value
  return utf8.decode(value, f"The feature {key!r} of a record")
