"""Fashion-MNIST: the embedded part and the full set."""

import hashlib
import time

import numpy as np
import pytest

from bnnjax import data
from bnnjax.data import fashion_mnist
from bnnjax.data.embedded import make_fashion_mnist_mini as maker

needs_full_set = pytest.mark.skipif(
  not fashion_mnist.DEBIAN_FOLDER.is_dir(),
  reason="needs `apt-get install dataset-fashion-mnist`",
)

# Of the arrays' bytes, in the order of `maker.select`.
SHA256 = "d5b91c929ef64cdf3fac6a13820932f698037ef77030a9584f3d6499a1ccee00"


def digest(arrays):
  total = hashlib.sha256()
  for split in ("train", "test"):
    for kind in ("images", "labels"):
      total.update(np.ascontiguousarray(arrays[f"{split}_{kind}"]).tobytes())
  return total.hexdigest()


@pytest.mark.parametrize(
  ("split", "per_class"), [("train", 1000), ("test", 200)]
)
def test_classes_are_balanced(split, per_class):
  labels = data.load("fashion_mnist_mini", split).labels
  np.testing.assert_array_equal(np.bincount(labels), [per_class] * 10)


def test_parts_are_nearly_balanced_too():
  part = data.load("fashion_mnist_mini", "train[:50%]")
  counts = np.bincount(part.read(range(len(part)))["label"])
  assert counts.min() > 400


def test_embedded_contents():
  assert digest(fashion_mnist.mini_arrays()) == SHA256


@needs_full_set
def test_embedded_contents_come_from_the_full_set():
  assert digest(maker.select(fashion_mnist.DEBIAN_FOLDER)) == SHA256


def test_embedded_file_is_small_and_fast():
  assert fashion_mnist.MINI_FILE.stat().st_size < 4.5e6
  fashion_mnist.mini_arrays.cache_clear()
  start = time.process_time()
  fashion_mnist.mini_arrays()
  assert time.process_time() - start < 2  # 0.25 s; tests share their cores


def test_embedded_arrays_are_shared_read_only():
  source = data.load("fashion_mnist_mini")
  with pytest.raises(ValueError, match="read-only"):
    source[0]["image"][0] = 1


def test_licence_travels_with_the_data():
  text = fashion_mnist.MINI_FILE.with_name("LICENSE.fashion-mnist").read_text()
  assert "MIT License" in text
  assert "Zalando SE" in text


def test_pack_and_read_are_inverse(tmp_path, monkeypatch):
  rng = np.random.default_rng(0)
  arrays = {
    "train_images": rng.integers(0, 256, (3, 28, 28), np.uint8),
    "train_labels": np.arange(3, dtype=np.uint8),
  }
  path = tmp_path / "small.npz.xz"
  path.write_bytes(maker.pack(arrays))
  monkeypatch.setattr(fashion_mnist, "MINI_FILE", path)
  read = fashion_mnist.mini_arrays.__wrapped__()
  for key, value in arrays.items():
    np.testing.assert_array_equal(read[key], value)


def write_idx(folder, images, labels):
  """The four-byte magic, big-endian sizes, bytes; test split, not gzipped."""
  for stem, magic, array in (
    ("images-idx3", 0x803, images),
    ("labels-idx1", 0x801, labels),
  ):
    header = np.array([magic, *array.shape], ">i4").tobytes()
    path = folder / f"t10k-{stem}-ubyte"
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def test_reads_a_folder_of_plain_files(tmp_path):
  images = np.arange(2 * 28 * 28).reshape(2, 28, 28) % 256
  write_idx(tmp_path, images, np.array([4, 9]))
  source = data.load("fashion_mnist", "test", data_dir=str(tmp_path))
  np.testing.assert_array_equal(source.inputs[..., 0], images)
  np.testing.assert_array_equal(source.labels, [4, 9])


def test_refuses_damaged_files(tmp_path):
  write_idx(tmp_path, np.zeros((2, 28, 28)), np.zeros(2))
  path = tmp_path / "t10k-images-idx3-ubyte"
  path.write_bytes(path.read_bytes()[:-1])
  with pytest.raises(ValueError, match=r"holds 1567 values.*\[2, 28, 28\]"):
    data.load("fashion_mnist", "test", data_dir=str(tmp_path))
  path.write_bytes(b"<html>")
  with pytest.raises(ValueError, match="not an IDX file"):
    data.load("fashion_mnist", "test", data_dir=str(tmp_path))


def test_labels_of_files_are_the_ten_classes(tmp_path):
  write_idx(tmp_path, np.zeros((4, 28, 28)), np.array([4, 200, 9, 200]))
  with pytest.raises(
    ValueError,
    match=r"labels must be 0 .. 9: 2 of 4 are not, the first 200 in record 1\.",
  ):
    data.load("fashion_mnist", "test", data_dir=str(tmp_path))


def test_missing_full_set_says_how_to_get_it(tmp_path):
  with pytest.raises(data.DataNotFoundError) as error:
    data.load("fashion_mnist", data_dir=str(tmp_path))
  message = str(error.value)
  assert "apt-get install dataset-fashion-mnist" in message
  assert "tfds build fashion_mnist" in message
  assert "data_dir" in message
  assert "fashion_mnist_mini" in message
  assert "\n" not in message


@needs_full_set
def test_full_set():
  source = data.load("fashion_mnist", "test")
  np.testing.assert_array_equal(np.bincount(source.labels), [1000] * 10)
