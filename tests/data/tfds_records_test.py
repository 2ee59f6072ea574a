"""Records of which some features are decoded, and those that cannot be."""

import types

import numpy as np
import pytest
import tensorflow_datasets as tfds

from bnnjax.data import tfds_records

FEATURES = {
  "size": tfds.features.Scalar(np.int64),
  "name": tfds.features.Text(),
  # The files hold bytes that are no image: it must not be asked for.
  "image": tfds.features.Image(shape=(2, 2, 3)),
}


class Raw(list):
  def __getitems__(self, indices):
    return [self[i] for i in indices]


class Builder:
  """What is read of tfds' builders."""

  info = types.SimpleNamespace(features=FEATURES, full_name="mine/1.0.0")

  def as_data_source(self, split, deserialize_method):
    assert split == "train"
    features = tfds.features.FeaturesDict(FEATURES)
    examples = (
      {"size": i, "name": f"number {i}", "image": b"none"} for i in range(3)
    )
    return Raw(
      features.serialize_example(features.encode_example(e)) for e in examples
    )


def test_some_features_are_decoded():
  records = tfds_records.Records(Builder(), "train", ("size", "name"))
  assert len(records) == 3
  assert [int(record["size"]) for record in records] == [0, 1, 2]
  assert records[1] == {"size": 1, "name": b"number 1"}
  got = records.__getitems__([2, 0])
  assert [record["name"] for record in got] == [b"number 2", b"number 0"]


def test_a_record_that_cannot_be_decoded_is_named():
  records = tfds_records.Records(Builder(), "train", ("image",))
  message = r"Record 2 of mine/1\.0\.0 \(train\) cannot be decoded \('image'\)"
  with pytest.raises(ValueError, match=message):
    records.__getitems__([2])
