"""Compressed files and IDX: read whole, or refused by name."""

import functools
import gzip
import io
import lzma
import zipfile

import numpy as np
import pytest

from bnnjax import data
from bnnjax.data import archives, fashion_mnist, plays, wordnet

XZ = lzma.compress(b"a text")
# A time of day would give the tests another name each second.
zipped = functools.partial(gzip.compress, mtime=0)


@pytest.mark.parametrize(
  ("content", "what"),
  [
    (b"", "is no xz file"),
    (XZ[:-1], "ends before"),
    (XZ[:20], "ends before"),
    (XZ + b"x", "continues after its xz stream: 1 bytes"),
    (XZ + XZ, "continues after"),
    (XZ[:30] + bytes([XZ[30] ^ 4]) + XZ[31:], "damaged"),
    (b"a text", "is no xz file: it begins with b'a text'"),
    (lzma.compress(b"a", lzma.FORMAT_ALONE), "no xz file"),
    (lzma.compress(XZ), "compressed twice"),
    (lzma.compress(zipped(b"a")), "compressed twice"),
    (lzma.compress(b"\xff\xfe"), "not hold UTF-8"),
  ],
)
def test_damaged_xz(tmp_path, content, what):
  path = tmp_path / "a.xz"
  path.write_bytes(content)
  with pytest.raises(ValueError, match=rf"a\.xz .*{what}"):
    archives.text(path)
  path.write_bytes(XZ)
  assert archives.text(path) == "a text"


def npz(**arrays):
  buffer = io.BytesIO()
  np.savez(buffer, **arrays)
  return buffer.getvalue()


def huge(size):
  """An npz whose header claims `size` values."""
  header = io.BytesIO()
  np.lib.format.write_array_header_1_0(
    header, {"descr": "|u1", "fortran_order": False, "shape": (size,)}
  )
  buffer = io.BytesIO()
  with zipfile.ZipFile(buffer, "w") as file:
    file.writestr("a.npy", header.getvalue() + b"123")
  return buffer.getvalue()


@pytest.mark.parametrize(
  "content",
  [
    b"",
    b"no zip",
    npz(a=np.arange(9))[:-30],
    npz(a=np.array([{}], object)),
    npz(a=np.arange(9)).replace(b"NUMPY", b"NUMPZ"),
    npz(a=np.arange(9, dtype=np.uint8)).replace(bytes(range(9)), bytes(9)),
    huge(10**15),
    huge(100),
  ],
)
def test_damaged_npz(tmp_path, content):
  path = tmp_path / "a.npz.xz"
  path.write_bytes(lzma.compress(content))
  with pytest.raises(ValueError, match=r"a\.npz\.xz does not hold an npz"):
    archives.arrays(path)


IMAGES = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)


def idx(array, magic=b"\0\0\x08", shape=None):
  sizes = np.array(array.shape if shape is None else shape, ">u4")
  return magic + bytes([len(sizes)]) + sizes.tobytes() + array.tobytes()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_is_told_by_its_content(tmp_path, pack):
  path = tmp_path / "images"
  path.write_bytes(pack(idx(IMAGES)))
  np.testing.assert_array_equal(archives.idx(path, (None, 28, 28)), IMAGES)


@pytest.mark.parametrize(
  ("content", "what"),
  [
    (b"", "is not an IDX file"),
    (b"<html>", "is not an IDX file"),
    (b"\0\0\x08\x03\0\0", "ends in its header"),
    (idx(IMAGES, b"\0\0\x0b"), "of type 0x0b"),
    (idx(IMAGES)[:-1], r"holds 1567 values.*\[2, 28, 28\]"),
    (idx(IMAGES) + b"x", "holds 1569 values"),
    (idx(IMAGES, shape=(2, 28, 27)), "holds 1568 values"),
    (idx(IMAGES, shape=(2**31, 2**31, 2**31)), "holds 1568 values"),
    (idx(IMAGES, shape=(4, 28, 14)), r"must be \[N, 28, 28\]"),
    (idx(IMAGES, shape=(1568,)), r"must be \[N, 28, 28\]"),
    (idx(IMAGES[:0]), "N > 0"),
    (zipped(idx(IMAGES))[:-9], "damaged gzip"),
    (zipped(idx(IMAGES)) + b"x", "damaged gzip"),
    (zipped(zipped(idx(IMAGES))), "compressed twice"),
    (b"\x1f\x8b\x08" + bytes(30), "damaged gzip"),
  ],
)
def test_damaged_idx(tmp_path, content, what):
  path = tmp_path / "images.gz"
  path.write_bytes(content)
  with pytest.raises(ValueError, match=rf"images\.gz .*{what}"):
    archives.idx(path, (None, 28, 28))


@pytest.mark.parametrize(
  ("labels", "what"),
  [
    (np.array([0, 200], np.uint8), "1 of 2 are not, the first 200 in record 1"),
    (np.array([0, 1, 2], np.uint8), r"images must be uint8 \[N, 28, 28\]"),
  ],
)
def test_labels_that_do_not_belong_to_the_images(tmp_path, labels, what):
  (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(IMAGES))
  (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(labels))
  with pytest.raises(ValueError, match=rf"t10k-labels-idx1-ubyte: .*{what}"):
    data.load("fashion_mnist", "test", data_dir=str(tmp_path))


def test_a_folder_in_the_place_of_a_file(tmp_path):
  (tmp_path / "t10k-images-idx3-ubyte").mkdir()
  with pytest.raises(OSError, match="t10k-images-idx3-ubyte"):
    data.load("fashion_mnist", "test", data_dir=str(tmp_path))


ROWS = "3\ta gloss\n25\tanother\n"


@pytest.mark.parametrize(
  ("module", "read", "content", "what"),
  [
    (plays, "mini", b"one text", r"train and test.*\[8\]"),
    (plays, "mini", b"a\0b\0c", r"\[1, 1, 1\]"),
    (plays, "mini", b"a\0", r"\[1, 0\]"),
    (wordnet, "mini", b"26\ta gloss\n", "line 1: must be a label 0 .. 25"),
    (wordnet, "mini", ROWS.encode() + b"\n", "line 3: must be a label"),
    (wordnet, "mini", ROWS.encode() + b"4\ta\tb", "line 3: must be a label"),
    (wordnet, "mini", ROWS.encode() + b"4 a", "line 3: must be a label"),
    (wordnet, "mini", "\u0663\ta".encode(), "line 1: must be a label"),
    (fashion_mnist, "mini_arrays", npz(x=IMAGES), "must hold test_images"),
    (fashion_mnist, "mini_arrays", npz(), "got nothing"),
    (
      fashion_mnist,
      "mini_arrays",
      npz(test_images=IMAGES),
      "labels uint8.* and none",
    ),
    (
      fashion_mnist,
      "mini_arrays",
      npz(test_images=IMAGES, test_labels=np.array([1.0, 2.0])),
      "labels uint8.*float64",
    ),
  ],
)
def test_embedded_files_of_other_content(
  tmp_path, monkeypatch, module, read, content, what
):
  path = tmp_path / "mini.xz"
  path.write_bytes(lzma.compress(content))
  monkeypatch.setattr(module, "MINI_FILE", path)
  with pytest.raises(ValueError, match=rf"mini\.xz.*{what}"):
    getattr(module, read).__wrapped__()


def test_lines_end_at_line_ends_alone(tmp_path, monkeypatch):
  """U+2028 and others are part of a gloss."""
  path = tmp_path / "mini.xz"
  path.write_bytes(lzma.compress("3\ta\u2028b\x0cc\n4\td\n".encode()))
  monkeypatch.setattr(wordnet, "MINI_FILE", path)
  found = {g for part in wordnet.mini.__wrapped__().values() for g in part}
  assert found == {wordnet.Gloss(3, "a\u2028b\x0cc"), wordnet.Gloss(4, "d")}


@pytest.mark.parametrize(
  ("content", "what"),
  [
    (b"0 03 n | caf\xe9\n", "not UTF-8"),
    (b"", "holds no gloss"),
    (b"  1 a licence\n", "holds no gloss"),
    (b"0 | no file\n", "line 1: not a noun"),
    (b" | no file\n", "line 1: not a noun"),
  ],
)
def test_damaged_data_noun(tmp_path, content, what):
  (tmp_path / "data.noun").write_bytes(content)
  with pytest.raises(ValueError, match=rf"data\.noun.*{what}"):
    data.load("wordnet", data_dir=str(tmp_path))


def test_a_split_without_a_gloss(tmp_path):
  (tmp_path / "data.noun").write_text("0 03 n | one gloss\n")
  for split in wordnet.SPLITS:
    found = wordnet.full.__wrapped__(tmp_path)
    if not found[split]:
      with pytest.raises(ValueError, match=rf"{split}.* has no gloss"):
        data.load("wordnet", split, data_dir=str(tmp_path))
