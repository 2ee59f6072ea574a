"""Labels of tfds sets that the test prepares offline."""

import functools
import os
import pathlib
import shutil
import types

import numpy as np
import pytest
import tensorflow_datasets as tfds

from bnnjax import data
from bnnjax.data import tfds_labels, tfds_records


class TinyLabels(tfds.core.GeneratorBasedBuilder):
  """Pictures that no decoder reads, and a label to spoil."""

  VERSION = tfds.core.Version("1.0.0")
  code_path = None
  labels = ()

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self,
      features=tfds.features.FeaturesDict(
        {
          "image": tfds.features.Image(shape=(8, 8, 3)),
          "label": tfds.features.ClassLabel(num_classes=3),
        }
      ),
    )

  def _split_generators(self, dl_manager):
    return {"train": self._examples()}

  def _generate_examples(self):
    raise NotImplementedError

  def _examples(self):
    for i, label in enumerate(self.labels):
      yield i, {"image": b"no picture", "label": label}


def prepared(folder, labels):
  """Prepares the set with these labels; the order is tfds' own."""
  shutil.rmtree(folder / "tiny_labels", ignore_errors=True)
  builder = TinyLabels(data_dir=folder, file_format="array_record")
  builder.labels = labels
  builder.download_and_prepare()
  return tfds_labels.read(
    tfds.builder("tiny_labels", data_dir=folder), "train", "label"
  )


def test_labels_are_read_without_the_pictures(tmp_path):
  """None of them could be decoded; tfds shuffles the records."""
  labels = [0, 1, 2, 2, 1, 2, -1, -1, 1]
  got = prepared(tmp_path, labels)
  assert sorted(got.tolist()) == sorted(labels)
  place = int((got == -1).argmax())
  with pytest.raises(
    ValueError,
    match=rf"2 of 9 are not, -1 in 2 records; the first is record {place}\.",
  ):
    data.load("tfds:tiny_labels", data_dir=str(tmp_path))
  place = int((got == 2).argmax())  # a part without them may be used
  part = f"train[{place}:{place + 1}]"
  source = data.load("tfds:tiny_labels", part, data_dir=str(tmp_path))
  assert source.all_labels().tolist() == [2]


def test_labels_are_kept_beside_the_data(tmp_path, monkeypatch):
  got = prepared(tmp_path, [0, 1, 2, 2])
  (kept,) = tmp_path.rglob("labels-train-label.bnnjax.npz")
  builder = tfds.builder("tiny_labels", data_dir=tmp_path)
  again = functools.partial(tfds_labels.read, builder, "train", "label")
  with monkeypatch.context() as patch:
    # Would be called: an error.
    patch.setattr(tfds_records, "Records", None)
    np.testing.assert_array_equal(again(), got)
  # Damaged, or of files that have changed since: read anew.
  kept.write_bytes(kept.read_bytes()[:50])
  np.testing.assert_array_equal(again(), got)

  class Reversed(list):
    def __init__(self, builder, split, keys):
      super().__init__({"label": label} for label in got[::-1])

    def __getitems__(self, places):
      return [self[place] for place in places]

  monkeypatch.setattr(tfds_records, "Records", Reversed)
  np.testing.assert_array_equal(again(), got)
  (file,) = builder.info.splits["train"].filepaths
  os.utime(file, ns=(1, 1))
  np.testing.assert_array_equal(again(), got[::-1])


def test_a_folder_that_cannot_be_written_is_read_every_time(
  tmp_path, monkeypatch
):
  monkeypatch.setattr(pathlib.Path, "write_bytes", _no_space)
  assert sorted(prepared(tmp_path, [0, 1, 2, 2]).tolist()) == [0, 1, 2, 2]
  assert not [*tmp_path.rglob("*bnnjax*")]


def _no_space(self, content):
  raise OSError("no space left on device")


def test_remote_files_are_checked_batch_by_batch(tmp_path):
  prepared(tmp_path, [0, 1, 2])
  split = types.SimpleNamespace(
    filepaths=["gs://bucket/tiny_labels-train.array_record"], num_examples=3
  )
  info = types.SimpleNamespace(splits={"train": split})
  remote = types.SimpleNamespace(info=info, data_dir=tmp_path)
  assert tfds_labels.read(remote, "train", "label") is None
