"""Prepared sets of TensorFlow Datasets: images, texts, language modelling.

They are read by `tfds.data_source`, which reads array_record (or parquet) files
and decodes images without TensorFlow.

  data.load("tfds:cifar10", "train")
  data.load("tfds:glue/mnli", "train", text=("premise", "hypothesis"))
  data.load("tfds:wikipedia/20230601.en", "train", text="text", tokenizer="bpe")
"""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from bnnjax import deprecated
from bnnjax.core import registry
from bnnjax.core.settings import Settings
from bnnjax.data import (
  digest,
  feature_tables,
  normalisation,
  sources,
  tfds_labels,
  tfds_records,
)

FORMATS = ("array_record", "parquet")
_INFO = "dataset_info.json"  # in the folder of a version


class TfdsTable(feature_tables.Table):
  """A set of tfds.

  Args:
    builder: of the set.
    name: as given to `load`.
  """

  def __init__(self, builder: Any, name: str):
    self._builder, self.name = builder, name
    self.features = builder.info.features
    self.splits = {k: v.num_examples for k, v in builder.info.splits.items()}
    self.mean_std = normalisation.MEAN_STD.get(builder.name)

  def image_shape(self, key):
    feature = self.feature(key, "image_key` (of texts: `text")
    shape = feature.shape
    if len(shape) != 3 or shape[2] is None:
      raise ValueError(
        f"Feature {key!r} of {self.name!r} has shape {shape}; an image must be"
        " (height, width, channels)."
      )
    if (dtype := np.dtype(feature.np_dtype)) != np.uint8:
      raise ValueError(
        f"Feature {key!r} of {self.name!r} holds {dtype}: images are uint8, 0 .."
        " 255 per channel. Prepare the set with such images, or choose another"
        " feature with `image_key`."
      )
    return shape

  def num_classes(self, key):
    feature = self.feature(key, "label_key")
    classes = getattr(feature, "num_classes", None)
    if not classes or feature.shape != ():  # a sequence has `num_classes` too
      raise ValueError(
        f"Feature {key!r} of {self.name!r} is not a class label, but"
        f" {type(feature).__name__}, which does not say how many classes there"
        " are. Choose another with `label_key`."
      )
    return classes

  def check_text(self, key):
    import tensorflow_datasets

    feature = self.feature(key, "text")
    if not isinstance(feature, tensorflow_datasets.features.Text):
      raise ValueError(
        f"Feature {key!r} of {self.name!r} is not a text, but"
        f" {type(feature).__name__}. Choose another with `text`."
      )

  def records(self, split, keys):
    return tfds_records.Records(self._builder, split, keys)

  def labels(self, split, key):
    return tfds_labels.read(self._builder, split, key)

  def content(self, split, keys):
    return _content(self._builder, split, keys)


def _info(split: str, **options: Any) -> sources.DatasetInfo:
  """From the builder alone, unless the characters of texts are needed."""
  prepared = options["tokenizer"] == "chars"
  return feature_tables.info(*_opened(split, options, prepared))


@registry.register("source", "tfds")
@sources.with_info(_info)
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
  """A set of TensorFlow Datasets, `tfds:NAME`.

  Also a set that `tfds build` prepared with your own builder: by its name, with
  the folder above as `data_dir`, or by its path.

  Args:
    split: name of a split of that set.
    dataset: the part after `tfds:`, such as `cifar10`, `imagenet2012:5.1.0` or
      `glue/sst2`; or the folder of a version, which begins with `/`, `~` or `.`
      (`~/tensorflow_datasets/mine/1.0.0`).
    data_dir: where the set was prepared, by default ~/tensorflow_datasets.
    image_key: feature that holds the image.
    label_key: feature that holds the class.
    text: features to read instead of an image: a text, `("sentence",)`, or a
      pair of texts, `("premise", "hypothesis")`.
    vocab_file: WordPiece vocabulary of the text; by default the embedded one of
      `wordnet_mini`.
    lowercase: whether it is uncased; for the default see `wordpiece.Tokenizer`.
    max_len: tokens of a text.
    tokenizer: "chars", "bytes" or "bpe": join all texts for language modelling,
      in memory, with `feature_tables.END` after each. `vocab_file` is then that
      of "bpe", and `label_key` is not needed.
    context: of the windows, see `windows.Windows`.

  Raises:
    ValueError: an unknown feature or one of another kind, or an option that
      this use of the set does not read.
  """
  options = {k: v for k, v in locals().items() if k != "split"}
  return feature_tables.load(*_opened(split, options))


def _opened(
  split: str, options: dict[str, Any], prepared: bool = True
) -> tuple[TfdsTable, str, Settings]:
  """The arguments of `feature_tables.load`."""
  dataset = options["dataset"]
  if not dataset:
    raise ValueError("Write the tfds name after a colon, as 'tfds:cifar10'.")
  settings = Settings("data.options", options, registry.defaults_of(tfds))
  builder = _builder(dataset, settings["data_dir"], prepared)
  settings.read.add("dataset")
  return TfdsTable(builder, f"tfds:{dataset}"), split, settings


def _content(builder: Any, split: str, keys: Sequence[str]) -> str:
  """Digest of the content of a split, without reading it.

  It covers name, configuration and version of the set, and the names, sizes and
  numbers of examples of the files: a set that is prepared twice, in any folder,
  has the same digest.
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


def _builder(dataset: str, data_dir: str | None, prepared: bool = True) -> Any:
  """The builder of a data set.

  Args:
    dataset: name, or the folder of a prepared one.
    data_dir: where it was prepared.
    prepared: raise unless the set is prepared, in a readable format.

  Raises:
    DataNotFoundError: there is no such set; the message says how to get it.
  """
  import tensorflow_datasets  # 0.4 s: only when used

  if dataset.startswith(("/", "~", ".")):
    builder = tensorflow_datasets.builder_from_directory(
      _version_folder(dataset, data_dir)
    )
    return _prepared(builder, dataset, data_dir)
  try:
    builder = tensorflow_datasets.builder(dataset, data_dir=data_dir)
  except tensorflow_datasets.core.registered.DatasetNotFoundError as error:
    where = data_dir or "~/tensorflow_datasets"
    # Community sets are listed over the network.
    names = tensorflow_datasets.list_builders(with_community_datasets=False)
    near = registry.nearest(dataset, names)
    raise sources.DataNotFoundError(
      f"tfds knows no data set {dataset!r}, and {where} holds none of that"
      f" name.{near} For a set that you prepared yourself, set"
      " `data_dir`, the folder above <name>/<version>."
    ) from error
  return _prepared(builder, dataset, data_dir) if prepared else builder


def _prepared(builder: Any, dataset: str, data_dir: str | None) -> Any:
  """Raises unless a set is prepared, in a readable format."""
  if not builder.info.splits:
    raise sources.DataNotFoundError(
      f"The tfds data set {dataset!r} is not prepared in"
      f" {builder.data_dir}. Give the folder where it is prepared as"
      f" `data_dir`, or {how_to_prepare(dataset, data_dir)}."
    )
  if builder.info.file_format.value not in FORMATS:
    raise sources.DataNotFoundError(
      f"The tfds data set {dataset!r} in {builder.data_dir} is stored as"
      f" {builder.info.file_format.value}, which cannot be read at random."
      " For another `data_dir`,"
      f" {how_to_prepare(dataset, '<another folder>')}."
    )
  return builder


def _version_folder(path: str, data_dir: str | None) -> pathlib.Path:
  """The folder of a version of a prepared set, checked."""
  if data_dir:
    raise ValueError(
      f"'tfds:{path}' is the folder of a data set: leave out the option"
      f" `data_dir`, got {data_dir!r}."
    )
  folder = pathlib.Path(path).expanduser()
  if (folder / _INFO).is_file():
    return folder
  # From a data_dir, from a set, from a configuration.
  depths = ("*", "*/*", "*/*/*")
  files = [f for depth in depths for f in folder.glob(f"{depth}/{_INFO}")]
  found = sorted(str(file.parent) for file in files)
  instead = f" Give the folder of one version: {', '.join(found)}."
  raise sources.DataNotFoundError(
    f"No {_INFO} in {folder}: it is no data set that tfds prepared."
    f"{instead if found else ''}"
  )


__getattr__ = deprecated.old_names(
  __name__, {"MEAN_STD": "bnnjax.data.normalisation.MEAN_STD"}
)
