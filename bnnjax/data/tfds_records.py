"""Records of a prepared tfds split, with only some features decoded.

The others may be large, or need TensorFlow or OpenCV.
"""

from collections.abc import Iterator, Sequence
from typing import Any

Record = dict[str, Any]


class Records:
  """Random access to some features of every record.

  Args:
    builder: of the prepared data set.
    split: its name, or a part of it such as `train[:50%]`.
    keys: of the features.
  """

  def __init__(self, builder: Any, split: str, keys: Sequence[str]):
    import tensorflow_datasets as tfds  # 0.4 s: only when used
    from tensorflow_datasets.core import decode

    # tfds' own `PartialDecoding` is for `as_dataset`, which needs TensorFlow.
    self._features = tfds.features.FeaturesDict(
      {key: builder.info.features[key] for key in keys}
    )
    self._raw = builder.as_data_source(
      split=split, deserialize_method=decode.DeserializeMethod.RAW_BYTES
    )
    self._name = f"{builder.info.full_name} ({split})"

  def __len__(self) -> int:
    return len(self._raw)

  def __iter__(self) -> Iterator[Record]:
    return map(self.__getitem__, range(len(self)))

  def __getitem__(self, index: int) -> Record:
    return self._decoded(self._raw[index], index)

  def __getitems__(self, indices: Sequence[int]) -> list[Record]:
    """The records at some positions.

    Raises:
      ValueError: a record cannot be decoded; names it.
    """
    raw = self._raw.__getitems__(list(indices))
    return [self._decoded(data, i) for data, i in zip(raw, indices)]

  def _decoded(self, data: bytes, index: int) -> Record:
    try:
      return self._features.deserialize_example_np(data)
    except Exception as error:  # the decoders of features raise any
      keys = ", ".join(map(repr, self._features))
      reason = " ".join(str(error).split())[:200].rstrip(".")
      raise ValueError(
        f"Record {index} of {self._name} cannot be decoded ({keys}):"
        f" {type(error).__name__}: {reason}."
      ) from error
