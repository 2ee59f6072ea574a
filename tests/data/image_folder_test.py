"""Folders of classes: layouts, labels, what is left out, what is refused."""

import pickle
import shutil

import numpy as np
import pytest
from PIL import Image

from bnnjax import config as config_lib
from bnnjax import data

CLASSES = ("cat", "dog", "eel")


def picture(seed, width=6, channels=1):
  rng = np.random.default_rng(seed)
  values = rng.integers(0, 256, (5, width, channels), np.uint8)
  return values[..., 0] if channels == 1 else values


def write(root, files):
  """Files by their paths; an array becomes an image."""
  for name, content in files.items():
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, np.ndarray):
      Image.fromarray(content).save(path)
    else:
      path.write_bytes(content)
  return root


def many(prefix="", count=10):
  return {
    f"{prefix}{name}/{i}.png": picture(100 * label + i)
    for label, name in enumerate(CLASSES)
    for i in range(count)
  }


@pytest.fixture
def root(tmp_path):
  files = many("train/") | many("test/", 2)
  files |= {"train/.DS_Store": b"x", "test/cat/.hidden.png": b"x"}
  return write(tmp_path / "pictures", files)


def test_splits_classes_and_pixels(root):
  name = f"image_folder:{root}"
  source = data.load(name)
  assert source.info == data.info(name, "test")
  assert source.info.shape == (5, 6, 1)
  assert source.info.num_classes == 3
  assert source.info.splits == {"train": 30, "test": 6}
  assert (len(source), len(data.load(name, "test"))) == (30, 6)
  images, labels = source.read(range(30)).values()
  np.testing.assert_array_equal(labels, source.all_labels())
  expected = {
    picture(100 * label + i).tobytes(): label
    for label in range(3)
    for i in range(10)
  }
  assert {i.tobytes(): int(k) for i, k in zip(images, labels)} == expected
  other = pickle.loads(pickle.dumps(source))
  np.testing.assert_array_equal(other[7]["image"], images[7])
  batches = data.make_eval_batches(source, batch_size=8)
  assert sum(batch["mask"].sum() for batch in batches) == 30


def test_without_splits_it_is_cut(tmp_path):
  """Each part has images of every class, the same wherever the folder lies."""
  root = write(tmp_path / "a", many())
  name = f"image_folder:{root}"
  parts = [data.load(name, s) for s in ("train[:80%]", "train[80%:]")]
  assert list(map(len, parts)) == [24, 6]
  assert all(set(part.all_labels()) == {0, 1, 2} for part in parts)
  moved = f"image_folder:{shutil.copytree(root, tmp_path / 'b')}"
  before = data.load(moved).digest()
  assert before == data.load(name).digest()
  write(tmp_path / "b", {"cat/3.png": picture(7)})
  assert data.load(moved).digest() != before
  with pytest.raises(
    ValueError, match=r"one split 'train', got 'test': cut it"
  ):
    data.load(name, "test")


def test_a_config_needs_no_more_than_the_name(root):
  config = config_lib.base()
  config.data.update(name=f"image_folder:{root}", batch_size=8)
  config.model = {"name": "mlp"}
  settings = config_lib.resolve(config).data
  assert (settings.shape, settings.num_classes) == ((5, 6, 1), 3)


def test_sizes_and_colours_that_vary(root):
  name = f"image_folder:{root}"
  write(root, {"test/dog/wide.jpg": picture(1, 9, 3)})
  train, test = data.load(name), data.load(name, "test")
  assert train.info.shape == test.info.shape == (5, None, 3)
  grey = train[0]["image"]
  assert grey.shape == (5, 6, 3)
  assert (grey == grey[..., :1]).all()
  images = test.read(range(7))["image"]
  assert {image.shape for image in images} == {(5, 6, 3), (5, 9, 3)}
  alike = data.load(name, "test", channels=1)
  assert alike.info.shape == (5, None, 1)
  assert len(alike.info.mean) == alike[0]["image"].shape[2] == 1


def test_files_that_are_no_images_are_said(root):
  write(root, {"train/cat/notes.txt": b"x", "train/9.png": picture(1)})
  left = "2 file.* left out, .*: train/9.png, train/cat/notes.txt"
  with pytest.warns(UserWarning, match=left):
    assert len(data.load(f"image_folder:{root}")) == 30


@pytest.mark.parametrize(
  ("files", "options", "message"),
  [
    ({"train/cat/3.png": b"no image"}, {}, "train/cat/3.png cannot be read"),
    ({"test/cat/bad.png": b""}, {}, "test/cat/bad.png cannot be read"),
    (
      {"train/fox/a.txt": b""},
      {},
      "train/fox holds no image .*png.*: remove the folder",
    ),
    ({"train/cat/a/1.png": b""}, {}, "'a': its images must lie in it"),
    ({"valid/1.png": b""}, {}, "'valid' holds no folder, others do"),
    ({}, {"split": "tset"}, "Unknown split .* Did you mean 'test'"),
    ({}, {"channels": 2}, "`channels` must be 1 or 3"),
    ({}, {"chanels": 1}, "Did you mean 'channels'"),
  ],
)
def test_what_is_refused(root, files, options, message):
  write(root, files)
  options = dict(options)
  with pytest.raises(ValueError, match=message):
    data.load(f"image_folder:{root}", options.pop("split", "train"), **options)


@pytest.mark.parametrize(
  ("learned", "other", "message"),
  [
    (
      "eal",
      "Dog",
      r"test has images of 'Dog', .*'Dog' and 'dog' differ only in",
    ),
    ("eal", "eals", "'eals': Did you mean 'eal'"),
    ("caf\xe9", "cafe\u0301", "only in the Unicode normal form"),
  ],
)
def test_classes_that_train_lacks(root, learned, other, message):
  write(root, {f"train/{learned}/1.png": picture(1)})
  write(root, {f"test/{other}/1.png": picture(1)})
  with pytest.raises(ValueError, match=message):
    data.load(f"image_folder:{root}")


def test_splits_without_train_have_classes_of_their_own(root):
  shutil.move(root / "train", root / "one")
  write(root, {"test/fox/1.png": picture(1)})
  assert data.info(f"image_folder:{root}", "one").num_classes == 4


def test_damage_is_told_by_name(root):
  whole = (root / "train/cat/3.png").read_bytes()
  (root / "train/cat/3.png").write_bytes(whole[:-25])
  source = data.load(f"image_folder:{root}")
  with pytest.raises(ValueError, match=r"image .*/train/cat/3.png cannot be"):
    source.read(range(30))


def test_folders_that_hold_no_classes(tmp_path):
  (tmp_path / "empty").mkdir()
  for name, message in (
    ("", "write it as 'image_folder:PATH'"),
    (":nowhere", "No folder of images 'nowhere'"),
    (f":{tmp_path}/emty", "Did you mean 'empty'"),
    (f":{__file__}", "It is a file"),
  ):
    with pytest.raises(data.DataNotFoundError, match=message):
      data.load(f"image_folder{name}")
  with pytest.raises(ValueError, match="as .*/cat/1.png.*: it holds none"):
    data.load(f"image_folder:{tmp_path}/empty")
