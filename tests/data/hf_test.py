"""Sets that `datasets` saved: what `save_to_disk` writes, written by pyarrow."""

import io
import json
import pickle
import shutil
import sys

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from bnnjax import config as config_lib
from bnnjax import data
from bnnjax.data import embedded, feature_tables, hf, wordpiece

TEXTS = ["the cat", "a dog é", "a cat", "dogs"]
STRING = {"dtype": "string", "_type": "Value"}
CLASSES = {"names": ["cat", "dog"], "_type": "ClassLabel"}


def picture(seed, width=6):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (5, width, 3), np.uint8)


def stored(image):
  """As the feature `Image` holds it."""
  buffer = io.BytesIO()
  Image.fromarray(image).save(buffer, "png")
  return {"bytes": buffer.getvalue(), "path": None}


def save(folder, columns, features, files=1):
  """One split; as `datasets` 5.2 leaves it, in several files of data."""
  folder.mkdir(parents=True)
  names = [f"data-{i:05}-of-{files:05}.arrow" for i in range(files)]
  table = pa.table(columns)
  size = -(-len(table) // files)
  for i, name in enumerate(names):
    part = table.slice(i * size, size)
    with pa.ipc.new_stream(str(folder / name), table.schema) as stream:
      stream.write_table(part, max_chunksize=2)
  entries = [{"filename": name} for name in names]
  state = {"_data_files": entries, "_fingerprint": "f8d9", "_split": None}
  (folder / "state.json").write_text(json.dumps(state))
  (folder / "dataset_info.json").write_text(json.dumps({"features": features}))


@pytest.fixture
def images(tmp_path):
  root = tmp_path / "images"
  for split, size in {"train": 7, "test": 3}.items():
    columns = {
      "image": [stored(picture(i)) for i in range(size)],
      "wide": [stored(picture(i, 5 + i)) for i in range(size)],
      "label": [i % 2 for i in range(size)],
    }
    kinds = {"image": {"_type": "Image"}, "wide": {"_type": "Image"}}
    save(root / split, columns, {**kinds, "label": CLASSES}, files=2)
  (root / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
  return root


@pytest.fixture
def texts(tmp_path):
  columns = {"text": TEXTS, "other": TEXTS[::-1], "n": [0, 2, 1, 0]}
  number = {"dtype": "int64", "_type": "Value"}
  features = {"text": STRING, "other": STRING, "n": number}
  save(tmp_path / "texts", columns, features)
  return tmp_path / "texts"


def test_images(images):
  name = f"hf:{images}"
  source = pickle.loads(pickle.dumps(data.load(name)))
  assert source.info == data.info(name, "test")
  assert source.info.shape == (5, 6, 3)
  assert source.info.num_classes == 2
  assert source.info.splits == {"train": 7, "test": 3}
  found, labels = source.read(range(7)).values()
  np.testing.assert_array_equal(found, [picture(i) for i in range(7)])
  np.testing.assert_array_equal(labels, np.arange(7) % 2)
  np.testing.assert_array_equal(source.all_labels(), labels)
  np.testing.assert_array_equal(source[-1]["image"], picture(6))
  wide = data.load(name, "test", image_key="wide")
  assert wide.info.shape == (5, None, 3)
  assert [i.shape[1] for i in wide.read(range(3))["image"]] == [5, 6, 7]


def test_texts_with_whole_numbers_for_labels(texts):
  options = {"text": "text", "label_key": "n", "max_len": 8}
  source = data.load(f"hf:{texts}", **options)
  assert source.info == data.info(f"hf:{texts}", **options)
  assert (source.info.vocab, source.info.num_classes) == (4096, 3)
  encoder = wordpiece.Tokenizer.from_file(embedded.WORDNET_VOCAB, 8)
  tokens, labels = source.read(range(4)).values()
  np.testing.assert_array_equal(tokens, encoder.encode(TEXTS))
  np.testing.assert_array_equal(labels, [0, 2, 1, 0])
  pairs = data.load(f"hf:{texts}", **{**options, "text": ("text", "other")})
  expected = encoder.encode(list(zip(TEXTS, TEXTS[::-1])))
  np.testing.assert_array_equal(pairs.read(range(4))["tokens"], expected)


def test_language_modelling(texts):
  options = {"text": "text", "tokenizer": "chars", "max_len": 4}
  source = data.load(f"hf:{texts}", **options)
  whole = "".join(text + feature_tables.END for text in TEXTS)
  assert source.info.vocab == 1 + len(set(whole))
  config = config_lib.base()
  config.data.update(name=f"hf:{texts}", options=options)
  config.model, config.task = {"name": "mamba"}, {"name": "language_modeling"}
  settings = config_lib.resolve(config).data
  assert (settings.shape, settings.vocab) == ((4,), source.info.vocab)


def test_content_is_that_of_the_files_wherever_they_lie(images, tmp_path):
  moved = shutil.copytree(images, tmp_path / "moved")
  digests = {data.load(f"hf:{root}").digest() for root in (images, moved)}
  assert len(digests) == 1
  digests |= {
    data.load(f"hf:{images}", "test").digest(),
    data.load(f"hf:{images}", image_key="wide").digest(),
  }
  assert len(digests) == 3


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"split": "tset"}, "Did you mean 'test'"),
    ({"image_key": "img"}, "no feature 'img'; it has image, label, wide"),
    ({"image_key": "label"}, "'label' of .* is ClassLabel, not Image"),
    ({"label_key": "wide"}, "'wide' .* not a class label, but Image"),
    ({"text": "image"}, "'image' of .* is not a text, but Image"),
    ({"max_len": 64}, "Nothing reads `data.options.max_len` of images"),
    ({"paths": "x"}, "Did you mean 'path'"),
  ],
)
def test_bad_arguments(images, options, message):
  options = dict(options)
  with pytest.raises(ValueError, match=message):
    data.load(f"hf:{images}", options.pop("split", "train"), **options)


def test_what_is_no_saved_set(images, texts, tmp_path):
  for name, message in (
    ("hf", "write it as 'hf:PATH'"),
    (f"hf:{tmp_path}/image", "Did you mean 'images'"),
    (f"hf:{tmp_path}", "no data set that `save_to_disk`"),
  ):
    with pytest.raises(data.DataNotFoundError, match=message):
      data.load(name)
  info = texts / "dataset_info.json"
  for content, message in (
    ("{", "texts/dataset_info.json is not JSON"),
    ("{}", "dataset_info.json names no features"),
    ('{"features": {"label": {"_type": "ClassLabel", "names": ["a"]}}}',
     r"of-00001.arrow lacks label, which"),
  ):  # fmt: skip
    info.write_text(content)
    with pytest.raises(ValueError, match=message):
      data.load(f"hf:{texts}")
  info.write_text('{"features": {"n": {}}}')
  for content in ('{"_data_files": 3}', '{"_data_files": []}'):
    (texts / "state.json").write_text(content)
    with pytest.raises(ValueError, match="state.json names no files of data"):
      data.load(f"hf:{texts}")


def test_damage_is_told_by_file(texts):
  (file,) = texts.glob("*.arrow")
  file.write_bytes(file.read_bytes()[:-8])
  with pytest.raises(ValueError, match="00001.arrow ends before its Arrow str"):
    data.load(f"hf:{texts}", text="text", label_key="n")


def test_gaps(tmp_path):
  columns = {
    "image": [stored(picture(0)), {"path": "a/1.png"}],
    "label": [0, None],
  }
  features = {"image": {"_type": "Image"}, "label": CLASSES}
  save(tmp_path / "gaps", columns, features)
  for options, message in (
    ({}, r"image 1 of 'train' .* not in the data set, but elsewhere.*a/1.png"),
    ({"text": "label"}, "not a text"),
  ):
    with pytest.raises(ValueError, match=message):
      data.load(f"hf:{tmp_path}/gaps", **options)
  with pytest.raises(ValueError, match="1 records of .* have no 'label'"):
    hf.HfTable(str(tmp_path / "gaps")).labels("train", "label")


@pytest.mark.parametrize(
  ("dtype", "labels", "message"),
  [
    (
      "uint8",
      [0, 255, 1, 0],
      "first in record 1, and never 254. 255 is what -1",
    ),
    ("uint16", [0, 1, 65535, 0], "becomes in 16 bits.*`ClassLabel`"),
    ("int64", [1, 2, 1, 3], "are 1 .. 3. If labels begin at 1: subtract 1"),
  ],
)
def test_labels_that_count_wrongly(tmp_path, dtype, labels, message):
  columns = {"text": TEXTS, "n": pa.array(labels, dtype)}
  features = {"text": STRING, "n": {"dtype": dtype, "_type": "Value"}}
  save(tmp_path / "odd", columns, features)
  with pytest.raises(ValueError, match=message):
    data.info(f"hf:{tmp_path}/odd", text="text", label_key="n")


def test_rows_in_another_order(texts):
  state = json.loads((texts / "state.json").read_text())
  options = {"text": "text", "label_key": "n", "max_len": 8}
  for indices in (None, [], [{"filename": "indices.arrow"}]):
    state["_indices_data_files"] = indices
    (texts / "state.json").write_text(json.dumps(state))
    if not indices:
      assert len(data.load(f"hf:{texts}", **options)) == 4
  with pytest.raises(ValueError, match=r"row indices .*`flatten_indices\(\)`"):
    data.load(f"hf:{texts}", **options)


def test_needs_the_extra(texts, monkeypatch):
  monkeypatch.setitem(sys.modules, "pyarrow", None)
  with pytest.raises(ImportError, match=r"pip install 'bnnjax\[hf\]'"):
    data.load(f"hf:{texts}", text="text", label_key="n")
