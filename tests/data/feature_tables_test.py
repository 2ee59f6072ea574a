"""A table of named features is read as images, as texts, or as one text."""

import numpy as np
import pytest

from bnnjax import data
from bnnjax.core.settings import Settings
from bnnjax.data import digest, feature_tables

DEFAULTS = {
  "image_key": "image", "label_key": "label", "text": (), "vocab_file": "",
  "lowercase": None, "max_len": 8, "tokenizer": "", "context": 0,
}  # fmt: skip


class Records(list):
  def __getitems__(self, indices):
    return [self[i] for i in indices]


class Memory(feature_tables.Table):
  """Three records; their texts are bytes, as tfds gives them."""

  name = "memory"

  def __init__(self):
    self.features = dict.fromkeys(("image", "label", "text", "other"))
    self.splits = {"train": 3}

  def image_shape(self, key):
    return 2, 2, 1

  def num_classes(self, key):
    return 3

  def check_text(self, key):
    if key not in ("text", "other"):
      raise ValueError(f"{key} is no text.")

  def records(self, split, keys):
    whole = [
      {
        "image": np.full((2, 2, 1), i, np.uint8),
        "label": i,
        "text": f"cat {i}".encode(),
        "other": "é",
      }
      for i in range(3)
    ]
    return Records({key: record[key] for key in keys} for record in whole)

  def labels(self, split, key):
    return np.arange(3)

  def content(self, split, keys):
    return digest.of(split, keys)


def options(**given):
  return Settings("data.options", given, DEFAULTS)


def load(**given):
  source = feature_tables.load(Memory(), "train", options(**given))
  assert source.info == feature_tables.info(Memory(), "train", options(**given))
  return source


def test_images():
  source = load()
  assert (source.info.shape, source.info.mean) == ((2, 2, 1), (0.5,))
  batch = source.read([2, 0])
  np.testing.assert_array_equal(batch["image"][:, 0, 0, 0], [2, 0])
  np.testing.assert_array_equal(batch["label"], [2, 0])
  assert source[-1]["label"] == 2


def test_texts_and_pairs():
  one, two = load(text="text"), load(text=("text", "other"))
  tokens = one.read([0, 1])["tokens"]
  assert tokens.shape == (2, 8)
  np.testing.assert_array_equal(two.read([0])["tokens"][0, :3], tokens[0, :3])
  assert one.digest() != two.digest()


def test_one_text():
  settings = options(text="text", tokenizer="bytes", max_len=4)
  source = feature_tables.load(Memory(), "train", settings)
  text = source.tokenizer.decode(source.read(range(len(source)))["tokens"][0])
  assert text == "cat "
  whole = "".join(f"cat {i}{feature_tables.END}" for i in range(3))
  assert len(source) == 1 + -(-(len(whole) - 4) // 3)


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ({"max_len": 5}, "Nothing reads `data.options.max_len` of images"),
    ({"text": "text", "context": 1}, "reads `data.options.context` of texts"),
    (
      {"text": "text", "tokenizer": "bytes", "label_key": "other"},
      "reads `data.options.label_key` of language modelling",
    ),
    ({"text": ("text", "other", "text")}, "one feature or the two of a pair"),
    ({"text": "label"}, "label is no text"),
    (
      {"text": ("text", "other"), "tokenizer": "bytes"},
      "packs the texts of one feature",
    ),
  ],
)
def test_bad_options(given, message):
  with pytest.raises(ValueError, match=message):
    feature_tables.load(Memory(), "train", options(**given))


def test_unknown_names():
  with pytest.raises(ValueError, match="Did you mean 'train'"):
    feature_tables.load(Memory(), "trian", options())
  with pytest.raises(
    ValueError, match=r"no feature 'x'.*Choose one with `text`"
  ):
    Memory().feature("x", "text")


def test_a_source_without_content_reads_its_examples():
  info = data.DatasetInfo("memory", (2, 2, 1), 3, (0.5,), (0.25,))
  records = Memory().records("train", ("image", "label"))

  def images(records):
    return np.stack([record["image"] for record in records])

  source = feature_tables.TableSource(records, info, "label", images)
  inputs = images(records)
  assert source.all_labels() is None
  changed = data.ArraySource(inputs, np.array([0, 1, 1]), info)
  assert source.digest() == data.Source.digest(source)
  assert source.digest() != data.Source.digest(changed)
