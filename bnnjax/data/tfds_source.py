"""Any prepared set of TensorFlow Datasets: images, texts, language modelling.

Through `tfds.data_source` alone, which reads array_record (or parquet) files
and decodes images without importing TensorFlow.

  data.load("tfds:cifar10", "train")
  data.load("tfds:glue/mnli", "train", text=("premise", "hypothesis"))
  data.load("tfds:wikipedia/20230601.en", "train", text="text", tokenizer="bpe")
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bnnjax.core import registry
from bnnjax.core.settings import Settings
from bnnjax.data import (
  check,
  digest,
  sources,
  tfds_labels,
  tfds_records,
  utf8,
  windows,
  wordnet,
)
from bnnjax.data import tokenizer as wordpiece

# Per channel, of pixels in [0, 1]; the values in common use for each set.
MEAN_STD = {
  "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
  "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
  "fashion_mnist": ((0.2860,), (0.3530,)),
  "imagenet2012": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
  "mnist": ((0.1307,), (0.3081,)),
  "svhn_cropped": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
}
END = "\0"  # of a text among packed ones; a token of every `lm_tokenizer`
_FORMATS = ("array_record", "parquet")
# What each use of a set reads of the options.
_READS = {
  "images": ("image_key", "label_key"),
  "texts": ("text", "label_key", "vocab_file", "lowercase", "max_len"),
  "language modelling": (
    "text", "tokenizer", "vocab_file", "max_len", "context",
  ),
}  # fmt: skip
Record = dict[str, Any]
Inputs = np.ndarray | list[np.ndarray]


class TfdsSource(sources.Source):
  """A random-access tfds data source with a label.

  Args:
    data: the tfds data source.
    info: description of the data set.
    label_key: feature that holds the class.
    inputs: makes images or tokens `[B, ...]` of records.
    labels: all of them `[N]`, see `tfds_labels`; None: unknown.
    content: digest of the files, see `_content`.
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
    labels = check.integers(labels, self.info.name, indices)
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


def _images(records: list[Record], key: str) -> Inputs:
  return sources.stack([record[key] for record in records])


def _tokens(
  records: list[Record], keys: Sequence[str], encoder: wordpiece.Tokenizer
) -> Inputs:
  texts = [tuple(_text(r, key) for key in keys) for r in records]
  return encoder.encode([t if len(keys) == 2 else t[0] for t in texts])


def _joined(builder: Any, name: str, keys: Sequence[str], split: str) -> str:
  """All texts of a split, each with an end."""
  if len(keys) != 1:
    raise ValueError(
      '`tokenizer` packs the texts of one feature, such as `text="text"`: got'
      f" {keys}."
    )
  sources.check_split(name, split, builder.info.splits)
  records = tfds_records.Records(builder, split, keys)
  return "".join(_text(r, keys[0]) + END for r in records)


def _text(record: Record, key: str) -> str:
  return utf8.decode(record[key], f"The feature {key!r} of a record")


@registry.register("source", "tfds")
def tfds(
  split: str,
  *,
  dataset: str = "",
  data_dir: str | None = None,
  image_key: str = "image",
  label_key: str = "label",
  text: Sequence[str] = (),
  vocab_file: str = "",
  lowercase: bool | None = None,
  max_len: int = 128,
  tokenizer: str = "",
  context: int = 0,
) -> sources.Source:
  """A set of TensorFlow Datasets, written `tfds:<name>` in `load`.

  Args:
    split: name of a split of that set.
    dataset: what follows `tfds:`, such as `cifar10`, `imagenet2012:5.1.0` or
      `glue/sst2`.
    data_dir: where it was prepared, by default ~/tensorflow_datasets.
    image_key: feature that holds the image.
    label_key: feature that holds the class.
    text: instead of an image: the feature that holds the text, as
      `("sentence",)`, or the two of a pair, as `("premise", "hypothesis")`.
    vocab_file: WordPiece vocabulary of the text; by default the embedded one of
      `wordnet_mini`.
    lowercase: whether that is uncased, by default see `tokenizer.Tokenizer`.
    max_len: tokens of a text.
    tokenizer: "chars", "bytes" or "bpe": not texts with a label, but all of
      them as one, for language modelling; after each comes the character `END`.
      The whole is held in memory. `vocab_file` is then of "bpe", and no
      `label_key` is needed.
    context: of such windows, see `windows.Windows`.

  Raises:
    ValueError: a feature that is not there or of another kind, an option that
      this use of the set does not read.
  """
  given = {k: v for k, v in locals().items() if k != "split"}
  if not dataset:
    raise ValueError("Write the tfds name after a colon, as 'tfds:cifar10'.")
  builder = _builder(dataset, data_dir)
  name = f"tfds:{dataset}"
  use = "language modelling" if tokenizer else "texts" if text else "images"
  options = Settings("data.options", given, registry.defaults_of(tfds))
  options.read = {"dataset", "data_dir", *_READS[use]}
  splits = {k: v.num_examples for k, v in builder.info.splits.items()}
  sources.check_split(name, split, splits)
  keys = (text,) if text and isinstance(text, str) else tuple(text)
  _check_texts(builder, name, keys)
  if tokenizer:
    options.refuse_unread(f"of {use}")
    return windows.pack(
      name,
      functools.partial(_joined, builder, name, keys),
      split,
      max_len=max_len,
      tokenizer=tokenizer,
      vocab_file=vocab_file,
      context=context,
    )
  classes = _num_classes(builder, name, label_key)
  vocabulary = ""
  if text:
    file = vocab_file or wordnet.VOCAB_FILE
    encoder = wordpiece.Tokenizer.from_file(file, max_len, lowercase=lowercase)
    kind = {"shape": (max_len,), "vocab": len(encoder)}
    inputs = functools.partial(_tokens, keys=keys, encoder=encoder)
    vocabulary = encoder.digest()
  else:
    shape = _image_shape(builder, name, image_key)
    mean, std = MEAN_STD.get(
      builder.name, ((0.5,) * shape[2], (0.25,) * shape[2])
    )
    kind = {"shape": shape, "mean": mean, "std": std}
    inputs = functools.partial(_images, key=image_key)
  options.refuse_unread(f"of {use}")
  info = sources.DatasetInfo(
    name=name, num_classes=classes, splits=splits, **kind
  )
  read = (*keys, label_key) if text else (image_key, label_key)
  data = tfds_records.Records(builder, split, read)
  labels = tfds_labels.read(builder, split, label_key)
  content = _content(builder, split, (*(keys or (image_key,)), label_key))
  return TfdsSource(data, info, label_key, inputs, labels, content, vocabulary)


def _content(builder: Any, split: str, keys: Sequence[str]) -> str:
  """Digest of what a split holds, of which nothing is read.

  Name, configuration and version of the set, and of the files of the split
  names, sizes and numbers of examples: a set that is prepared twice gives
  the same, whatever its folder.
  """
  chosen = builder.info.splits[split]
  files = [(path.name, path.stat().length) for path in chosen.filepaths]
  return digest.of(
    builder.info.full_name, split, keys, chosen.shard_lengths, files
  )


def how_to_prepare(dataset: str, data_dir: str | None) -> str:
  """Part of an error message: how to download and prepare a data set."""
  where = f" --data_dir={data_dir}" if data_dir else ""
  return (
    "run once, in an environment of its own (to prepare, unlike to read, tfds"
    " needs TensorFlow), `pip install tensorflow-datasets tensorflow-cpu"
    " importlib_resources` and"
    f" `tfds build {dataset} --file_format=array_record{where}`"
  )


def _builder(dataset: str, data_dir: str | None) -> Any:
  """The builder of a data set that is prepared in a format we can read."""
  import tensorflow_datasets  # 0.4 s: only when used

  try:
    builder = tensorflow_datasets.builder(dataset, data_dir=data_dir)
  except tensorflow_datasets.core.registered.DatasetNotFoundError as error:
    where = data_dir or "~/tensorflow_datasets"
    # Community sets are listed over the network.
    names = tensorflow_datasets.list_builders(with_community_datasets=False)
    near = registry.nearest(dataset, names)
    raise sources.DataNotFoundError(
      f"tfds knows no data set {dataset!r}, and {where} holds none of that"
      f" name.{near} One that you prepared yourself is found through"
      " `data_dir`, the folder above <name>/<version>."
    ) from error
  if not builder.info.splits:
    raise sources.DataNotFoundError(
      f"The tfds data set {dataset!r} is not prepared in"
      f" {builder.data_dir}. Give the folder where it is prepared as"
      f" `data_dir`, or {how_to_prepare(dataset, data_dir)}."
    )
  if builder.info.file_format.value not in _FORMATS:
    raise sources.DataNotFoundError(
      f"The tfds data set {dataset!r} in {builder.data_dir} is stored as"
      f" {builder.info.file_format.value}, which cannot be read at random."
      " For another `data_dir`,"
      f" {how_to_prepare(dataset, '<another folder>')}."
    )
  return builder


def _feature(builder: Any, name: str, key: str, option: str) -> Any:
  """A feature of the data set, which `option` chooses."""
  features = builder.info.features
  if key not in features:
    raise ValueError(
      f"{name!r} has no feature {key!r}; it has"
      f" {', '.join(sorted(features))}. Choose one with `{option}`."
    )
  return features[key]


def _num_classes(builder: Any, name: str, key: str) -> int:
  feature = _feature(builder, name, key, "label_key")
  classes = getattr(feature, "num_classes", None)
  if not classes or feature.shape != ():  # a sequence has those of its entries
    raise ValueError(
      f"Feature {key!r} of {name!r} is not a class label, but"
      f" {type(feature).__name__}, which does not say how many classes there"
      " are. Choose another with `label_key`."
    )
  return classes


def _image_shape(
  builder: Any, name: str, key: str
) -> tuple[int | None, int | None, int]:
  option = "image_key` (of texts: `text"
  feature = _feature(builder, name, key, option)
  shape = feature.shape
  if len(shape) != 3 or shape[2] is None:
    raise ValueError(
      f"Feature {key!r} of {name!r} has shape {shape}; an image must be"
      " (height, width, channels)."
    )
  if (dtype := np.dtype(feature.np_dtype)) != np.uint8:
    raise ValueError(
      f"Feature {key!r} of {name!r} holds {dtype}: images are uint8, 0 .. 255,"
      " a channel. Prepare the set with such ones, or choose another with"
      " `image_key`."
    )
  return shape


def _check_texts(builder: Any, name: str, keys: Sequence[str]) -> None:
  import tensorflow_datasets

  for key in keys:
    feature = _feature(builder, name, key, "text")
    if not isinstance(feature, tensorflow_datasets.features.Text):
      raise ValueError(
        f"Feature {key!r} of {name!r} is not a text, but"
        f" {type(feature).__name__}. Choose another with `text`."
      )
  if len(keys) > 2:
    raise ValueError(
      f"`text` names one feature or the two of a pair: got {', '.join(keys)}."
    )
