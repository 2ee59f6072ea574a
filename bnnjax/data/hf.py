"""Data sets saved by the library `datasets`, `hf:PATH`.

    datasets.load_dataset("ag_news").save_to_disk("ag_news")  # once, elsewhere

  data.load("hf:ag_news", "train", text="text")

`save_to_disk` writes Arrow files, which pyarrow alone memory-maps here: nothing
is downloaded, and no code of a data set runs.
"""

import functools
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from bnnjax.core import registry
from bnnjax.core.settings import Settings
from bnnjax.data import (
  arrow,
  checks,
  digest,
  encoded_images,
  feature_tables,
  sources,
)

_SPLITS, _STATE, _INFO = "dataset_dict.json", "state.json", "dataset_info.json"
TRAIN = "train"  # the split of a set that was saved without splits


class HfTable(feature_tables.Table):
  """A saved set.

  Args:
    path: its folder.
  """

  def __init__(self, path: str):
    self.name = f"hf:{path}"
    folders = _folders(path)
    described = {s: _described(folder) for s, folder in folders.items()}
    (first, self.features), *others = described.items()
    for split, features in others:
      if features != self.features:
        raise ValueError(
          f"The splits {first!r} and {split!r} of {self.name!r} differ in their"
          " features: save them with the same."
        )
    self._files = {s: _files(folder) for s, folder in folders.items()}
    self.splits = {s: arrow.table(f).num_rows for s, f in self._files.items()}
    for split, files in self._files.items():
      if not self.splits[split]:
        raise ValueError(f"The split {split!r} of {self.name!r} is empty.")
      columns = arrow.table(files).column_names
      if lacking := self.features.keys() - columns:
        raise ValueError(
          f"{files[0]} lacks {', '.join(sorted(lacking))}, which {_INFO} names."
        )

  def image_shape(self, key):
    feature = self.feature(key, "image_key` (of texts: `text")
    if _kind(feature) != "Image":
      raise ValueError(
        f"Feature {key!r} of {self.name!r} is {_kind(feature)}, not Image. Choose"
        " another with `image_key`."
      )
    return _image_shape(tuple(self._files.items()), key)

  def num_classes(self, key):
    feature = self.feature(key, "label_key")
    if _kind(feature) == "ClassLabel":
      return len(feature["names"])
    if "int" not in _kind(feature):
      raise ValueError(
        f"Feature {key!r} of {self.name!r} is not a class label, but"
        f" {_kind(feature)}. Choose another with `label_key`."
      )
    found = {split: self.labels(split, key) for split in self.splits}
    way = "save the feature as a `ClassLabel`"
    return checks.counted(found, self.name, {_kind(feature)}, way)

  def check_text(self, key):
    feature = self.feature(key, "text")
    if _kind(feature) not in ("string", "large_string"):
      raise ValueError(
        f"Feature {key!r} of {self.name!r} is not a text, but {_kind(feature)}."
        " Choose another with `text`."
      )

  def records(self, split, keys):
    images = [k for k in keys if _kind(self.features[k]) == "Image"]
    channels = {key: self.image_shape(key)[2] for key in images}
    return Records(self._files[split], keys, channels)

  def labels(self, split, key):
    column = arrow.columns(self._files[split], (key,)).column(key)
    return checks.integers(column.to_numpy(), self.name)

  def content(self, split, keys):
    return digest.of(keys, digest.of_files(self._files[split]))


class Records:
  """Some features of every record of a split.

  Args:
    files: of Arrow.
    keys: of the features.
    channels: of the features that are images.
  """

  def __init__(
    self, files: arrow.Files, keys: Sequence[str], channels: Mapping[str, int]
  ):
    self._files, self._keys, self._channels = files, tuple(keys), channels
    arrow.columns(self._files, self._keys)  # raises if they are damaged

  def __len__(self) -> int:
    return arrow.table(self._files).num_rows

  def __iter__(self):
    return map(self.__getitem__, range(len(self)))

  def __getitem__(self, index: int) -> dict[str, Any]:
    return self.__getitems__([range(len(self))[index]])[0]

  def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
    """The records at some positions."""
    table = arrow.columns(self._files, self._keys)
    found = []
    for index in indices:
      record = {key: table.column(key)[index] for key in self._keys}
      for key, channels in self._channels.items():
        where = f"{index} of {os.path.dirname(self._files[0])} ({key!r})"
        data = _file(record[key], where).read()
        record[key] = encoded_images.pixels(data, where, channels)
      found.append(
        {
          key: value if key in self._channels else value.as_py()
          for key, value in record.items()
        }
      )
    return found


def _info(split: str, **options: Any) -> sources.DatasetInfo:
  return feature_tables.info(*_opened(split, options))


@registry.register("source", "hf")
@sources.with_info(_info)
def hf(
  split: str,
  *,
  path: str = "",
  image_key: str = "image",
  label_key: str = "label",
  text: Sequence[str] = (),
  vocab_file: str = "",
  lowercase: bool | None = None,
  max_len: int = 128,
  tokenizer: str = "",
  context: int = 0,
) -> sources.Source:
  """A data set saved by `datasets` (`save_to_disk`), `hf:PATH`.

  Args:
    split: its name; "train" of a set that was saved without splits.
    path: the part after the colon.
    image_key: feature that holds the image.
    label_key: feature that holds the class: a `ClassLabel`, or whole numbers
      from 0, of which the largest of all splits gives the number of classes.
    text: features to read instead of an image; this and the following options
      are as in `tfds_source.tfds`.
    vocab_file: WordPiece vocabulary of the text, or the file of "bpe".
    lowercase: whether the WordPiece vocabulary is uncased.
    max_len: tokens of a text.
    tokenizer: "chars", "bytes" or "bpe": join all texts for language modelling.
    context: of the windows, see `windows.Windows`.

  Raises:
    DataNotFoundError: no such folder.
    ImportError: pyarrow is not installed; the message names the extra `hf`.
    ValueError: a folder or file that `datasets` did not save or that is
      damaged, an unknown feature or one of another kind, or an option that this
      use of the set does not read.
  """
  options = {k: v for k, v in locals().items() if k != "split"}
  return feature_tables.load(*_opened(split, options))


def _opened(
  split: str, options: dict[str, Any]
) -> tuple[HfTable, str, Settings]:
  """The arguments of `feature_tables.load`."""
  settings = Settings("data.options", options, registry.defaults_of(hf))
  return HfTable(settings["path"]), split, settings


def _folders(path: str) -> dict[str, pathlib.Path]:
  """The folder of every split."""
  root = pathlib.Path(path).expanduser().absolute()
  if not path or not root.is_dir():
    names = [p.name for p in root.parent.glob("*/")] if path else []
    raise sources.DataNotFoundError(
      f"No folder {path!r}: write it as 'hf:PATH'."
      f"{registry.nearest(root.name, names)}"
    )
  if (root / _STATE).is_file():
    return {TRAIN: root}
  if not (root / _SPLITS).is_file():
    raise sources.DataNotFoundError(
      f"{root} holds no {_SPLITS} or {_STATE}: it is no data set that"
      " `save_to_disk` of `datasets` made."
    )
  splits = _json(root / _SPLITS).get("splits")
  if not isinstance(splits, list) or not splits:
    raise ValueError(f"{root / _SPLITS} names no splits: got {splits!r}.")
  return {str(split): root / str(split) for split in splits}


def _described(folder: pathlib.Path) -> dict[str, Any]:
  features = _json(folder / _INFO).get("features")
  if not isinstance(features, dict):
    raise ValueError(f"{folder / _INFO} names no features: got {features!r}.")
  return features


def _files(folder: pathlib.Path) -> arrow.Files:
  """The Arrow files of a split, in order; raises if the rows are reordered."""
  state = _json(folder / _STATE)
  found = state.get("_data_files")
  if state.get("_indices_data_files"):
    raise ValueError(
      f"{folder / _STATE} names a file of row indices (of `shuffle`, `select` or"
      " `filter`), which is not read: save the set once more, with"
      " `flatten_indices()` before `save_to_disk`."
    )
  try:
    files = tuple(str(folder / entry["filename"]) for entry in found)
  except (TypeError, KeyError):
    files = ()
  if not files:
    raise ValueError(
      f"{folder / _STATE} names no files of data: got {found!r}."
    )
  return files


def _json(path: pathlib.Path) -> dict[str, Any]:
  try:
    found = json.loads(path.read_text())
  except (ValueError, RecursionError) as error:
    raise ValueError(f"{path} is not JSON: {error}.") from error
  if not isinstance(found, dict):
    raise ValueError(f"{path} holds no JSON object: got {found!r}.")
  return found


def _kind(feature: Any) -> str:
  """Kind of a feature: `Image`, `ClassLabel`, `string` ..."""
  if not isinstance(feature, dict):
    return type(feature).__name__
  kind = str(feature.get("_type"))
  return str(feature.get("dtype")) if kind == "Value" else kind


def _file(value: Any, where: str) -> Any:
  """The encoded image, as a view of the memory-mapped data set."""
  import pyarrow as pa

  if not pa.types.is_struct(value.type) or not value["bytes"].is_valid:
    raise ValueError(
      f"The image {where} is not in the data set, but elsewhere: {value}. Save it"
      " once more, with `save_to_disk`."
    )
  return pa.BufferReader(value["bytes"].as_buffer())


@functools.lru_cache(maxsize=8)  # every split of a run asks for it
def _image_shape(
  splits: tuple[tuple[str, arrow.Files], ...], key: str
) -> tuple[int | None, int | None, int]:
  """Common shape of all images, from their headers."""
  headers = []
  for split, files in splits:
    column = arrow.columns(files, (key,)).column(key)
    for index, value in enumerate(column):
      where = f"{index} of {split!r} of {os.path.dirname(files[0])} ({key!r})"
      headers.append(encoded_images.header(_file(value, where), where))
  return encoded_images.shape_of(headers)
