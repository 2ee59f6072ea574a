"""tfds without TensorFlow, on a data set that the test prepares offline."""

import dataclasses
import io
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from bnnjax import data
from bnnjax.data import (
  checks,
  embedded,
  feature_tables,
  tfds_source,
  wordpiece,
)


def picture(index, width=8):
  rng = np.random.default_rng(index)
  return rng.integers(0, 256, (8, width, 3), np.uint8)


def png(image):
  buffer = io.BytesIO()
  Image.fromarray(image).save(buffer, "png")
  return buffer.getvalue()


class TinyPictures(tfds.core.GeneratorBasedBuilder):
  """Twelve training and five test pictures; `wide` ones differ in width."""

  VERSION = tfds.core.Version("1.0.0")
  # tfds looks for it with importlib_resources, which it forgets to require.
  code_path = None

  def _info(self):
    # Not `dataset_info_from_configs`, which needs a package folder.
    return tfds.core.DatasetInfo(
      builder=self,
      features=tfds.features.FeaturesDict(
        {
          "image": tfds.features.Image(shape=(8, 8, 3)),
          "wide": tfds.features.Image(shape=(None, None, 3)),
          # Decoded alone: of these, tfds can decode the first nowhere here.
          "deep": tfds.features.Image(shape=(8, 8, 1), dtype=np.uint16),
          "odd": tfds.features.Image(shape=(None, None, 3)),
          "broken": tfds.features.Image(shape=(8, 8, 3)),
          "label": tfds.features.ClassLabel(num_classes=3),
          "size": tfds.features.Scalar(np.int64),
        }
      ),
    )

  def _split_generators(self, dl_manager):
    return {"train": self._examples(12), "test": self._examples(5)}

  def _generate_examples(self):
    raise NotImplementedError

  def _examples(self, count):
    for i in range(count):
      yield (
        i,
        {
          # Bytes: encoding an array would need TensorFlow.
          "image": png(picture(i)),
          "wide": png(picture(i, width=10 + i)),
          "deep": png(np.full((8, 8), 1000 * i, np.uint16)),
          "odd": png(picture(i).repeat(2, -1)[..., : 3 + (i == 3)]),
          "broken": png(picture(i)) if i != 3 else b"no image",
          "label": i % 3,
          "size": i,
        },
      )


class TinyTexts(tfds.core.GeneratorBasedBuilder):
  """Twelve pairs of texts; those of the test split have no label, as GLUE's."""

  VERSION = tfds.core.Version("1.0.0")
  code_path = None

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self,
      features=tfds.features.FeaturesDict(
        {
          "premise": tfds.features.Text(),
          "hypothesis": tfds.features.Text(),
          "third": tfds.features.Text(),
          "label": tfds.features.ClassLabel(num_classes=3),
        }
      ),
    )

  def _split_generators(self, dl_manager):
    return {"train": self._examples(12), "test": self._examples(5, label=-1)}

  def _generate_examples(self):
    raise NotImplementedError

  def _examples(self, count, label=None):
    for i in range(count):
      yield (
        i,
        {
          "premise": f"the cat number {i}",
          "hypothesis": "an animal",
          "third": "",
          "label": i % 3 if label is None else label,
        },
      )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
  folder = tmp_path_factory.mktemp("tfds")
  for builder in (TinyPictures, TinyTexts):
    made = builder(data_dir=folder, file_format="array_record")
    made.download_and_prepare()
  return str(folder)


def load(data_dir, split="train", **options):
  return data.load("tfds:tiny_pictures", split, data_dir=data_dir, **options)


def test_interface(data_dir):
  source = load(data_dir)
  assert source.info.name == "tfds:tiny_pictures"
  assert source.info.shape == (8, 8, 3)
  assert source.info.num_classes == 3
  assert source.info.splits == {"train": 12, "test": 5}
  assert len(source) == 12
  assert len(load(data_dir, "test")) == 5
  images, labels = source.read(np.arange(12)).values()
  assert labels.dtype == np.int32
  for image, label, example in zip(
    images, labels, map(source.__getitem__, range(12))
  ):
    np.testing.assert_array_equal(image, example["image"])
    assert type(example["label"]) is int
    assert label == example["label"]
  expected = sorted(picture(i).tobytes() for i in range(12))  # tfds shuffles
  assert sorted(image.tobytes() for image in images) == expected


def test_batches_of_pictures_that_differ_in_size(data_dir):
  source = load(data_dir, image_key="wide")
  assert source.info.shape == (None, None, 3)
  one = {"process_index": 0, "process_count": 1}
  batches = data.make_train_iterator(
    source, batch_size=4, seed=0, augment="random_resized_crop(6), flip", **one
  )
  assert next(batches)["image"].shape == (4, 6, 6, 3)
  batches = data.make_eval_batches(
    source, batch_size=5, augment="resize(7), center_crop(6)", **one
  )
  assert sum(batch["mask"].sum() for batch in batches) == 12


def test_part_of_a_split(data_dir):
  assert len(load(data_dir, "train[:50%]")) == 6


def test_reads_without_tensorflow_and_without_the_builders_code(data_dir):
  code = f"""
import sys
from bnnjax import data
if __name__ == "__main__":
  source = data.load("tfds:tiny_pictures", data_dir={data_dir!r})
  batches = data.make_train_iterator(source, batch_size=4, seed=0)
  assert next(batches)["image"].shape == (4, 8, 8, 3)
  assert len(list(data.make_eval_batches(source, batch_size=5))) == 3
  texts = data.load("tfds:tiny_texts", data_dir={data_dir!r}, text="premise")
  assert texts[0]["tokens"].shape == (128,)
  assert "tensorflow" not in sys.modules
"""
  subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"split": "trian"}, "Did you mean 'train'"),
    ({"image_key": "img"}, "no feature 'img'; it has .*image, .*`image_key`"),
    ({"image_key": "size"}, r"shape \(\); an image must be"),
    ({"image_key": "deep"}, "'deep' of .* holds uint16: images are uint8"),
    (
      {"label_key": "size"},
      "not a class label, but Scalar, which does not say",
    ),
    ({"max_len": 64}, "Nothing reads `data.options.max_len` of images, got 64"),
    ({"vocab_file": "x"}, "reads `data.options.vocab_file` of images"),
    ({"context": 3}, "reads `data.options.context` of images"),
    ({"dataset": "x"}, "leave out the option `dataset`"),
    ({"data_dirs": "x"}, "Did you mean 'data_dir'"),
  ],
)
def test_bad_arguments(data_dir, options, message):
  with pytest.raises(ValueError, match=message):
    load(data_dir, **options)


def test_records_that_are_no_such_image(data_dir):
  whole = range(12)
  found = load(data_dir, image_key="odd")
  with pytest.raises(ValueError, match=r"record \d+ is .*4 channels, as RGBA"):
    checks.batch(found.read(whole), found.info, whole)
  with pytest.raises(
    ValueError, match=r"Record \d+ of .*/1.0.0 \(train\) cannot"
  ):
    load(data_dir, image_key="broken").read(whole)


def test_not_prepared_says_how(tmp_path):
  with pytest.raises(data.DataNotFoundError) as error:
    data.load("tfds:cifar10", data_dir=str(tmp_path))
  message = str(error.value)
  assert "'cifar10' is not prepared in" in message
  assert "tfds build cifar10 --file_format=array_record" in message
  assert f"--data_dir={tmp_path}" in message
  assert "`data_dir`" in message
  assert "\n" not in message


def test_unknown_name_suggests_the_nearest(tmp_path):
  with pytest.raises(data.DataNotFoundError, match="Did you mean 'cifar10'"):
    data.load("tfds:cifar1O", data_dir=str(tmp_path))


def test_other_file_formats_are_refused(data_dir, monkeypatch):
  monkeypatch.setattr("bnnjax.data.tfds_source.FORMATS", ())
  with pytest.raises(data.DataNotFoundError, match="stored as array_record"):
    load(data_dir)


def load_text(data_dir, split="train", **options):
  options = {"data_dir": data_dir, "max_len": 16, **options}
  return data.load("tfds:tiny_texts", split, **options)


@pytest.mark.parametrize("text", ["premise", ("premise", "hypothesis")])
def test_texts_and_pairs(data_dir, text):
  source = load_text(data_dir, text=text)
  assert source.info.shape == (16,)
  assert source.info.vocab == 4096
  assert source.info.num_classes == 3
  tokens, labels = source.read(np.arange(12)).values()
  assert tokens.dtype == labels.dtype == np.int32
  np.testing.assert_array_equal(source[4]["tokens"], tokens[4])
  assert source[4]["label"] == labels[4]
  encoder = wordpiece.Tokenizer.from_file(embedded.WORDNET_VOCAB, 16)
  expected = {
    encoder.encode([one if text == "premise" else (one, "an animal")]).tobytes()
    for one in (f"the cat number {i}" for i in range(12))
  }
  assert {row.tobytes() for row in tokens} == expected
  batches = data.make_eval_batches(source, batch_size=5)
  assert sum(batch["mask"].sum() for batch in batches) == 12


def test_texts_with_a_vocabulary_of_ones_own(data_dir, tmp_path):
  path = tmp_path / "vocab.txt"
  path.write_text("\n".join((*wordpiece.SPECIAL, "cat")))
  source = load_text(data_dir, text="premise", vocab_file=str(path))
  assert source.info.vocab == 6
  np.testing.assert_array_equal(
    source[0]["tokens"][:6], [2, 1, 5, 1, 1, 3]
  )  # [CLS] the cat number i [SEP]


def test_texts_with_a_cased_vocabulary(data_dir, tmp_path):
  path = tmp_path / "vocab.txt"
  path.write_text("\n".join((*wordpiece.SPECIAL, "cat", "The")))
  source = load_text(
    data_dir, text="premise", vocab_file=str(path), lowercase=False
  )
  np.testing.assert_array_equal(source[0]["tokens"][:4], [2, 1, 5, 1])


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({}, "no feature 'image'; .* `image_key` .*`text`"),
    ({"text": "premisse"}, "no feature 'premisse'; .* `text`"),
    ({"text": "label"}, "'label' .* is not a text, but ClassLabel"),
    ({"text": ("premise", "hypothesis", "third")}, "or the two of a pair"),
    (
      {"text": "premise", "tokenizer": "bpe", "lowercase": False},
      "of language modelling, got False",
    ),
    ({"text": "premise", "split": "test"}, r"no labels \(-1\).* train, test"),
    ({"text": "premise", "label_key": "third"}, "is not a class label"),
    ({"text": "premise", "max_len": 2}, "`max_len` must be at least 5"),
    ({"text": "premise", "tokenizer": "byte"}, "Did you mean 'bytes'"),
    ({"text": "label", "tokenizer": "bytes"}, "is not a text, but ClassLabel"),
    (
      {"text": ("premise", "third"), "tokenizer": "bpe"},
      "texts of one feature",
    ),
    ({"tokenizer": "bpe"}, r"texts of one feature.* got \(\)"),
    (
      {"text": "premise", "context": 3},
      "Nothing reads `data.options.context` of texts, got 3",
    ),
    (
      {"text": "premise", "tokenizer": "bytes", "label_key": "third"},
      "reads `data.options.label_key` of language modelling",
    ),
    (
      {"text": "premise", "image_key": "x"},
      "`data.options.image_key` of texts",
    ),
  ],
)
def test_bad_arguments_of_texts(data_dir, options, message):
  with pytest.raises(ValueError, match=message):
    load_text(data_dir, **options)


def test_packed_for_language_modelling(data_dir):
  """All texts of a split in one, each with its end; labels are not needed."""
  for split, size in (("train", 12), ("test", 5)):
    source = load_text(data_dir, split, text="premise", tokenizer="bytes")
    assert (source.info.vocab, source.info.num_classes) == (256, 0)
    assert source.info.name == "tfds:tiny_texts"
    batch = source.read(np.arange(len(source)))
    texts = {f"the cat number {i}" for i in range(size)}
    length = sum(len(text) + 1 for text in texts)
    assert batch["scored"].sum() == (batch["chars"] * batch["scored"]).sum()
    assert batch["scored"].sum() == length - 1
    first, *rest = batch["tokens"]
    scored = [row[s] for row, s in zip(rest, batch["scored"][1:])]
    text = source.tokenizer.decode(np.concatenate([first, *scored]))
    assert text.endswith(feature_tables.END)
    assert set(text[:-1].split(feature_tables.END)) == texts


def test_packed_characters_are_those_of_the_training_split(data_dir):
  options = {"text": "premise", "tokenizer": "chars", "context": 3}
  train, test = (load_text(data_dir, s, **options) for s in ("train", "test"))
  letters = {feature_tables.END, *"the cat number 0123456789"}
  assert train.info.vocab == test.info.vocab == 1 + len(letters)
  other = data.tokenizer_of(
    "tfds:tiny_texts", data_dir=data_dir, max_len=16, **options
  )
  assert other.pieces == train.tokenizer.pieces


def test_content_is_that_of_the_files_wherever_they_lie(data_dir, tmp_path):
  moved = shutil.copytree(data_dir, tmp_path / "moved")
  here, there = load(data_dir), load(str(moved))
  assert (
    here.digest() == there.digest() == pickle.loads(pickle.dumps(here)).digest()
  )
  others = (
    load(data_dir, "test"), load(data_dir, image_key="wide"),
    load_text(data_dir, text="premise"), load_text(data_dir, text="hypothesis"),
  )  # fmt: skip
  assert len({here.digest(), *(s.digest() for s in others)}) == 5
  builder = tfds.builder("tiny_pictures", data_dir=str(moved))
  table = tfds_source.TfdsTable(builder, "tfds:tiny_pictures")
  before = table.content("train", ("image", "label"))
  (file,) = (moved / "tiny_pictures").glob("*/*-train.array_record*")
  file.write_bytes(file.read_bytes() + b"!")
  assert table.content("train", ("image", "label")) != before


def test_by_the_folder_that_tfds_build_made(data_dir):
  """Also what a builder of one's own made, whose code is not here."""
  folder = f"{data_dir}/tiny_pictures/1.0.0"
  source = data.load(f"tfds:{folder}", "test", label_key="label")
  assert source.digest() == load(data_dir, "test").digest()
  assert source.info.splits == {"train": 12, "test": 5}
  for path, options, message in (
    (data_dir, {}, "folder of one version: .*tiny_pictures/1.0.0, .*texts"),
    (f"{data_dir}/tiny", {}, "it is no data set that tfds prepared.$"),
    (folder, {"data_dir": "x"}, "leave out the option `data_dir`, got 'x'"),
  ):
    with pytest.raises((ValueError, data.DataNotFoundError), match=message):
      data.load(f"tfds:{path}", **options)


def test_info_is_told_by_the_description(data_dir, monkeypatch):
  """No record is read, but of texts whose characters are the vocabulary."""
  texts = {"data_dir": data_dir, "text": "premise", "max_len": 16}
  wanted = [
    (name, options, data.load(name, **options).info)
    for name, options in (
      ("tfds:tiny_pictures", {"data_dir": data_dir, "image_key": "wide"}),
      ("tfds:tiny_texts", texts),
      ("tfds:tiny_texts", {**texts, "tokenizer": "chars"}),
      ("tfds:tiny_texts", {**texts, "tokenizer": "bpe"}),
    )
  ]
  read = tfds_source.TfdsTable.records

  def records(self, split, keys):
    assert keys == ("premise",)  # joined for its characters
    return read(self, split, keys)

  monkeypatch.setattr(tfds_source.TfdsTable, "records", records)
  monkeypatch.setattr(tfds_source.TfdsTable, "labels", None)
  for name, options, info in wanted:
    if "tokenizer" in options:
      info = dataclasses.replace(info, splits={})
    assert data.info(name, **options) == info
  with pytest.raises(ValueError, match="Did you mean 'train'"):
    data.info("tfds:tiny_texts", "trian", **texts)
