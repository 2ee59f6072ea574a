"""Arrays of one's own: keys, headers, what is refused by file and key."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from bnnjax import data
from bnnjax.data import archives

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 5, 6), np.uint8)
LABELS = np.arange(12) % 3
TOKENS = RNG.integers(0, 30, (12, 8)).astype(np.uint16)
KERAS = {
  "x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:4],
  "y_test": LABELS[:4],
}  # fmt: skip


@pytest.fixture
def save(tmp_path):
  def write(arrays, compressed=True):
    path = tmp_path / "mine.npz"
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return f"npz:{path}"

  return write


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize(
  ("arrays", "shape"),
  [
    (KERAS, (5, 6, 1)),
    ({**KERAS, "y_train": LABELS[:, None].astype(float)}, (5, 6, 1)),
    (
      {
        "train_images": np.stack([IMAGES] * 3, -1), "train_labels": LABELS,
        "test_images": np.stack([IMAGES[:4]] * 3, -1),
        "test_labels": LABELS[:4], "more": LABELS,
      },
      (5, 6, 3),
    ),
  ],
)  # fmt: skip
def test_images(save, arrays, shape, compressed):
  name = save(arrays, compressed)
  info = data.info(name)
  assert (info.shape, info.num_classes, info.vocab) == (shape, 3, 0)
  assert info.splits == {"train": 12, "test": 4}
  for split, size in info.splits.items():
    source = pickle.loads(pickle.dumps(data.load(name, split)))
    assert source.info == info
    images, labels = source.read(np.arange(size)).values()
    assert images.shape == (size, *shape)
    np.testing.assert_array_equal(images[..., 0], IMAGES[:size])
    np.testing.assert_array_equal(labels, LABELS[:size])
    np.testing.assert_array_equal(labels, source.all_labels())


@pytest.mark.parametrize("key", ["tokens", "x"])
def test_tokens_of_one_split(save, key):
  labels = "y" if key == "x" else "labels"
  name = save({key: TOKENS, labels: LABELS})
  source = data.load(name, "train[:6]")
  assert source.info == data.info(name)
  assert source.info.shape == (8,)
  assert source.info.vocab == 1 + TOKENS.max()
  tokens, _ = source.read(range(6)).values()
  assert tokens.dtype == np.int32
  np.testing.assert_array_equal(tokens, TOKENS[:6])
  assert data.info(name, vocab=64, num_classes=5).vocab == 64
  assert data.load(name, vocab=64, num_classes=5).info.num_classes == 5


def test_info_reads_headers_and_labels(save, monkeypatch):
  read, keys = archives.npz_array, []
  monkeypatch.setattr(
    archives, "npz_array", lambda path, key: keys.append(key) or read(path, key)
  )
  name = save(KERAS)
  assert data.info(name) == data.info(name, "test")  # asked twice, read once
  assert keys == ["y_train", "y_test"]
  keys.clear()
  assert data.info(save({"tokens": TOKENS, "labels": LABELS}), vocab=40).vocab
  assert keys == ["labels"]


def test_another_content_is_another_digest(save):
  digests = {
    data.load(save({**KERAS, **other})).digest()
    for other in ({}, {"x_train": IMAGES[::-1]}, {"y_train": LABELS[::-1]})
  }
  assert len(digests) == 3


def objects():
  return np.array([{"a": 1}, None], object)


@pytest.mark.parametrize(
  ("arrays", "options", "message"),
  [
    ({"a": LABELS}, {}, "must hold x_train, .*: got a"),
    ({}, {}, "got nothing"),
    ({"x_train": IMAGES}, {}, "has 'x_train', but no 'y_train'"),
    ({"x_train": IMAGES, "y_tran": LABELS}, {}, "Did you mean 'y_tran'"),
    ({**KERAS, "y_train": LABELS[:5]}, {}, r"'y_train' \[5\]: .* as many"),
    ({**KERAS, "x_train": IMAGES / 255}, {}, r"float64 \[12, 5, 6\]: images are"),
    ({**KERAS, "x_train": IMAGES.reshape(12, -1)}, {}, "reshape images"),
    ({**KERAS, "x_test": IMAGES[:4, :3]}, {}, r"\(5, 6, 1\), 'x_test' of \(3,"),
    ({**KERAS, "x_train": IMAGES[:, None]}, {}, "channels come first"),
    ({**KERAS, "x_train": objects()}, {}, "'x_train' holds Python objects"),
    ({**KERAS, "x_test": IMAGES[:0], "y_test": LABELS[:0]}, {}, "no example"),
    ({**KERAS, "y_train": np.eye(3)[LABELS]}, {}, "'y_train': Labels .*argmax"),
    ({**KERAS, "y_train": LABELS - 1}, {}, "'y_train' .* record 0 is -1"),
    ({**KERAS, "train_images": IMAGES, "train_labels": LABELS}, {}, "leave one"),
    ({"tokens": TOKENS.astype(int) - 1, "labels": LABELS}, {}, "-1 .. 28: tokens"),
    (KERAS, {"num_classes": 2}, "0 .. 1, its 2 classes"),
    (KERAS, {"num_classes": -2}, "must be above 0, or 0"),
    (KERAS, {"vocab": 9}, "holds images: leave out the option `vocab`"),
    (KERAS, {"split": "tset"}, "Did you mean 'test'"),
    ({"tokens": TOKENS, "labels": LABELS}, {"vocab": 9}, "must be 0 .. 8"),
  ],
)  # fmt: skip
def test_what_is_refused(save, arrays, options, message):
  options = dict(options)
  with pytest.raises(ValueError, match=message):
    data.load(save(arrays), options.pop("split", "train"), **options)


def test_labels_that_count_wrongly(save):
  unsigned = (LABELS - 1).astype(np.uint8)
  for arrays, message in (
    (
      {**KERAS, "y_test": unsigned[:4]},
      r"\(split 'test'\) hold 255, first in record 0, and never 254. 255 is what"
      " -1, no label, becomes in 8 bits",
    ),
    ({**KERAS, "y_train": LABELS + 1}, r"train on are 1 .. 3.* 1: subtract 1"),
    ({"images": IMAGES, "labels": LABELS + 1}, "1: subtract 1"),
  ):
    with pytest.raises(ValueError, match=message):
      data.info(save(arrays))
    assert data.load(save(arrays), num_classes=256).info.num_classes == 256
  assert data.info(save({**KERAS, "y_test": LABELS[1:3].repeat(2)}))
  whole = {**KERAS, "y_train": unsigned, "y_test": np.full(4, 254)}
  assert data.info(save(whole)).num_classes == 256


def test_files_that_are_none(tmp_path, save):
  name = save(KERAS)
  with pytest.raises(data.DataNotFoundError, match="Did you mean 'mine.npz'"):
    data.load(f"npz:{tmp_path}/min.npz")
  with pytest.raises(data.DataNotFoundError, match="It is a folder"):
    data.load(f"npz:{tmp_path}")
  path = tmp_path / "mine.npz"
  array = io.BytesIO()
  np.save(array, IMAGES)
  whole = path.read_bytes()
  for content in (b"", b"x", whole[:-40], array.getvalue()):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="mine.npz is no npz of plain arrays"):
      data.load(name)
  with zipfile.ZipFile(path, "w") as file:
    file.writestr("x_train.npy", b"\x93NUMPY\x07\x00")
  with pytest.raises(ValueError, match="mine.npz is no npz of plain arrays"):
    data.load(name)
