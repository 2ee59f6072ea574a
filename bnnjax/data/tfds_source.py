"""Any prepared image classification set of TensorFlow Datasets.

Through `tfds.data_source` alone, which reads array_record (or parquet) files
and decodes images without importing TensorFlow.
"""

from typing import Any

import numpy as np

from bnnjax.core import registry
from bnnjax.data import sources

# Per channel, of pixels in [0, 1]; the values in common use for each set.
MEAN_STD = {
  "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
  "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
  "fashion_mnist": ((0.2860,), (0.3530,)),
  "imagenet2012": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
  "mnist": ((0.1307,), (0.3081,)),
  "svhn_cropped": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
}
_FORMATS = ("array_record", "parquet")


class TfdsSource(sources.Source):
  """A random-access tfds data source with an image and a label."""

  def __init__(
    self, data: Any, info: sources.DatasetInfo, image_key: str, label_key: str
  ):
    self.info = info
    self._data = data
    self._keys = image_key, label_key

  def __len__(self) -> int:
    return len(self._data)

  def __getitem__(self, index: int) -> sources.Example:
    return self._example(self._data[index])

  def _example(self, record: dict[str, Any]) -> sources.Example:
    image, label = (record[key] for key in self._keys)
    return {"image": image, "label": int(label)}

  def read(self, indices):
    records = self._data.__getitems__([int(i) for i in indices])
    examples = [self._example(record) for record in records]
    labels = np.array([e["label"] for e in examples], np.int32)
    return sources.stack([e["image"] for e in examples]), labels


@registry.register("source", "tfds")
def tfds(
  split: str,
  *,
  dataset: str = "",
  data_dir: str | None = None,
  image_key: str = "image",
  label_key: str = "label",
) -> sources.Source:
  """A set of TensorFlow Datasets, written `tfds:<name>` in `load`.

  Args:
    split: name of a split of that set.
    dataset: what follows `tfds:`, such as `cifar10` or `imagenet2012:5.1.0`.
    data_dir: where it was prepared, by default ~/tensorflow_datasets.
    image_key: feature that holds the image.
    label_key: feature that holds the class.
  """
  if not dataset:
    raise ValueError("Write the tfds name after a colon, as 'tfds:cifar10'.")
  builder = _builder(dataset, data_dir)
  name = f"tfds:{dataset}"
  splits = {k: v.num_examples for k, v in builder.info.splits.items()}
  sources.check_split(name, split, splits)
  shape, classes = _features(builder, name, image_key, label_key)
  mean, std = MEAN_STD.get(
    builder.name, ((0.5,) * shape[2], (0.25,) * shape[2])
  )
  info = sources.DatasetInfo(name, shape, classes, mean, std, splits)
  data = builder.as_data_source(split=split)
  return TfdsSource(data, info, image_key, label_key)


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


def _features(
  builder: Any, name: str, image_key: str, label_key: str
) -> tuple[tuple[int | None, int | None, int], int]:
  """Checks image and label; returns the image's shape and the class count."""
  features = builder.info.features
  for option, key in (("image_key", image_key), ("label_key", label_key)):
    if key not in features:
      raise ValueError(
        f"{name!r} has no feature {key!r}; it has"
        f" {', '.join(sorted(features))}. Choose one with `{option}`."
      )
  shape = features[image_key].shape
  if len(shape) != 3 or shape[2] is None:
    raise ValueError(
      f"Feature {image_key!r} of {name!r} has shape {shape}; an image must be"
      " (height, width, channels)."
    )
  classes = getattr(features[label_key], "num_classes", None)
  if not classes:
    raise ValueError(
      f"Feature {label_key!r} of {name!r} is not a class label."
      " Choose another with `label_key`."
    )
  return shape, classes
