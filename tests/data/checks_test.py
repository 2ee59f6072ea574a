import re

import numpy as np
import pytest

from bnnjax import data
from bnnjax.data import checks, sources

INFO = sources.DatasetInfo("mine", (4, 6, 1), 3, (0.5,), (0.25,))
TEXT = sources.DatasetInfo("words", (5,), 3, vocab=7)
ONE = {"process_index": 0, "process_count": 1}
LABELS = np.arange(40) % 3
IMAGES = np.zeros((40, 4, 6, 1), np.uint8)


class Remote(data.Source):
  """Examples that come one by one: nothing is known before they are read."""

  def __init__(self, labels=LABELS, inputs=IMAGES, info=INFO):
    self.info, self._labels, self._inputs = info, labels, inputs

  def __len__(self):
    return len(self._labels)

  def __getitem__(self, index):
    key = self.info.kind.key
    return {key: self._inputs[index], "label": self._labels[index]}


def changed(values, place, value, dtype=None):
  values = np.array(values, dtype)
  values[place] = value
  return values


@pytest.mark.parametrize(
  "dtype", ["int8", "uint8", "int64", "uint64", "float64"]
)
def test_any_type_that_holds_whole_numbers(dtype):
  got = checks.labels(LABELS.astype(dtype), INFO)
  assert got.dtype == np.int32
  np.testing.assert_array_equal(got, LABELS)


@pytest.mark.parametrize(
  ("labels", "message"),
  [
    (changed(LABELS, 7, -1), r"1 of 40 are not, -1 in 1 record; .*record 7\."),
    (changed(LABELS, [5, 9, 11], [-1, 3, -1]), "3 of 40.*-1 in 2 .*3 in 1 rec"),
    (changed(LABELS, 3, -1), r"Such records have no labels \(-1\)"),
    (LABELS + 1, "13 of 40 are not, 3 in 13 records.*subtract 1"),
    (LABELS - 1, "14 of 40 are not, -1 in 14 records; the first is record 0"),
    ((LABELS - 1).astype(np.uint8), "255 in 14 rec.*255 is what -1, no label"),
    ((LABELS - 1).astype(np.uint16), "65535 in 14 .*becomes in 16 bits"),
    (changed(LABELS, 4, 1.5, float), r"whole numbers.*float64 \[40\], 1.5 in rec.* 4"),
    (changed(LABELS, 4, np.nan, float), "nan in record 4"),
    (changed(LABELS, 4, 2**32, np.int64), "4294967296 in record 4"),
    (np.eye(3, dtype=int)[LABELS], r"got int64 \[40, 3\].*`.argmax\(-1\)`"),
    (LABELS[:, None], "drop an axis of length 1"),
    (3, r"whole numbers, one per example: got int64 \[\], 3 in record 0"),
    (LABELS.astype(str), "whole numbers, one per example: got <U"),
    (np.arange(40) * 7, r"39 of 40 are not, 7 in 1 record, .*28 in 1 record, \.\.\."),
  ],
)  # fmt: skip
def test_labels_that_are_not_the_classes(labels, message):
  """Where they are known they are refused before a batch is made."""
  with pytest.raises(ValueError, match=f"Labels of 'mine'.*{message}"):
    _batches(data.make_train_iterator, labels, seed=0)
  with pytest.raises(ValueError, match=f"Labels of 'mine'.*{message}"):
    _batches(data.make_eval_batches, labels)


def _batches(make, labels, **options):
  source = data.ArraySource(IMAGES, labels, INFO)
  return make(source, batch_size=8, **options, **ONE)


@pytest.mark.parametrize(
  "wrong",
  [-1, 3, 255, 2**40, 1.5, float("nan"), "cat", None, np.eye(3)[1], [1]],
)
@pytest.mark.parametrize("threads", [0, 1])
def test_a_source_of_unknown_labels_names_the_record(wrong, threads):
  labels = LABELS.tolist()
  labels[21] = wrong
  source = Remote(labels)
  batches = data.make_train_iterator(
    source, batch_size=40, seed=0, threads=threads, **ONE
  )
  with pytest.raises(ValueError, match="Labels of 'mine' must be .*record 21"):
    next(batches)
  batches = iter(
    data.make_eval_batches(source, batch_size=8, threads=threads, **ONE)
  )
  next(batches)  # records 0 .. 7 are fine
  with pytest.raises(ValueError, match="Labels of 'mine' must be .*record 21"):
    list(batches)


def test_only_the_part_that_is_used_counts():
  labels = changed(LABELS, slice(30, 40), -1)
  source = data.ArraySource(IMAGES, labels, INFO)
  checks.source(sources.Subset(source, 0, 30))
  with pytest.raises(ValueError, match=r"1 of 21 .*first is record 20\."):
    checks.source(sources.Subset(source, 10, 31))


def test_without_classes_a_label_may_be_anything():
  info = sources.DatasetInfo("mine", (4, 6, 1), 0, (0.5,), (0.25,))
  np.testing.assert_array_equal(checks.labels(LABELS - 9, info), LABELS - 9)


@pytest.mark.parametrize(("token", "place"), [(7, 13), (-1, 39), (255, 0)])
def test_tokens_outside_the_vocabulary(token, place):
  tokens = changed(np.ones((40, 5), np.int32), (place, 2), token)
  message = f"Tokens of 'words' must be 0 .. 6.*record {place}, with {token}"
  with pytest.raises(ValueError, match=message):
    data.ArraySource(tokens, LABELS, TEXT)
  source = Remote(LABELS, tokens, TEXT)
  if place == 0:  # the first record is read at once
    with pytest.raises(ValueError, match="gives tokens 1 .. 255"):
      data.make_train_iterator(source, batch_size=40, seed=0, **ONE)
    return
  batches = data.make_train_iterator(source, batch_size=40, seed=0, **ONE)
  with pytest.raises(ValueError, match=message.replace("must", r".*must")):
    next(batches)


@pytest.mark.parametrize(
  ("image", "message"),
  [
    (np.zeros((4, 6, 4), np.uint8), r"record 5 is uint8 \(4, 6, 4\)"),
    (np.zeros((4, 6, 1), np.uint16), "record 5 is uint16"),
  ],
)
def test_one_image_of_another_kind(image, message):
  images = list(IMAGES)
  images[5] = image
  info = sources.DatasetInfo("mine", (None, None, 1), 3, (0.5,), (0.25,))
  batches = data.make_eval_batches(
    Remote(LABELS, images, info), batch_size=40, **ONE
  )
  with pytest.raises(ValueError, match=f"Images of 'mine' must be .*{message}"):
    list(batches)


def test_embedded_sources_know_their_labels():
  """As they are example by example; those of `fake` take turns."""
  for name in ("fashion_mnist_mini", "wordnet_mini"):
    part = data.load(name, "test[3:40]")
    np.testing.assert_array_equal(
      part.all_labels(), [part[i]["label"] for i in range(37)]
    )


def test_the_message_is_one_sentence_a_line():
  with pytest.raises(ValueError) as error:
    checks.labels(LABELS - 1, TEXT, split="test")
  assert re.fullmatch(
    r"Labels of 'words' \(split 'test'\)[^\n]+", str(error.value)
  )
