"""Files of checkpoints: what is found, and what is said of any other."""

import json
import os

import numpy as np
import pytest
import safetensors.numpy

from bnnjax.models import pretrained_files as files

TENSORS = {"a": np.ones((2, 3), np.float32), "b": np.zeros(4, np.float16)}


def test_a_folder_stands_for_its_one_checkpoint(tmp_path):
  path = tmp_path / "model.safetensors"
  safetensors.numpy.save_file(TENSORS, path)
  assert files.resolve(tmp_path) == path
  assert files.shapes(path) == {"a": (2, 3), "b": (4,)}
  np.testing.assert_array_equal(files.tensors(path)["a"], TENSORS["a"])
  assert files.settings(path) is None
  (tmp_path / "config.json").write_bytes(b"\xef\xbb\xbf{}")
  assert files.settings(path) == {}
  index = tmp_path / "model.safetensors.index.json"
  weight_map = dict.fromkeys(TENSORS, path.name)
  index.write_text(json.dumps({"weight_map": weight_map}))
  assert files.resolve(tmp_path) == index
  assert files.shapes(index) == files.shapes(path)
  safetensors.numpy.save_file(TENSORS, tmp_path / "other.safetensors")
  with pytest.raises(ValueError, match="several checkpoints.*other.safet"):
    files.resolve(tmp_path)


@pytest.mark.parametrize(
  ("name", "source"),
  [
    ("pytorch_model.bin", "pytorch_model.bin"),
    ("pytorch_model-00001-of-00002.bin", "pytorch_model-*.bin"),
    ("pytorch_model.bin.index.json", "pytorch_model*.bin"),
    ("last.pth", "last.pth"),
  ],
)
def test_a_pickle_is_refused_with_the_line_that_converts_it(
  tmp_path, name, source
):
  (tmp_path / name).write_bytes(b"PK\x03\x04")
  for given in (tmp_path, tmp_path / name):
    with pytest.raises(ValueError, match="pickle of PyTorch") as error:
      files.resolve(given)
    message = str(error.value)
    assert message.count("\n") == 0
    code = message[message.index('-c "') + 4 : message.rindex('"')]
    compile(code, "line", "exec")
    assert f"glob.glob('{tmp_path / source}')" in code
    assert f"'{tmp_path / 'model.safetensors'}'" in code


@pytest.mark.parametrize(
  ("name", "data", "what"),
  [
    ("x.safetensors", b"", "empty"),
    ("x.safetensors", b"PK\x03\x04" + bytes(9), "zip archive"),
    ("x.safetensors", b"\x80\x02}q\x00" + bytes(9), "pickle"),
    ("x.safetensors", b"version https://git-lfs.github.com/", "Git LFS"),
    ("x.safetensors", b"\x1f\x8b\x08" + bytes(9), "gzip"),
    ("x.safetensors", b"<!DOCTYPE html>", "HTML"),
    ("x.safetensors", b"\x80\x02" + bytes(9), "damaged"),
    ("x.safetensors", b"abcdefghijkl", "damaged"),
    ("x.safetensors", (2**60).to_bytes(8, "little") + b"{}", "too large"),
    ("x.h5", b"\x89HDF\r\n", "HDF5"),
    ("x.npz", b"PK\x03\x04", "numpy"),
    ("x.msgpack", b"\x81", "Flax"),
    ("x.gguf", b"GGUF", "llama.cpp"),
    ("x.txt", b"hello", "no checkpoint"),
  ],
)
def test_another_file_is_said_to_be_one(tmp_path, name, data, what):
  path = tmp_path / name
  path.write_bytes(data)
  with pytest.raises(ValueError, match=rf"{name} is .*{what}"):
    files.shapes(files.resolve(path))


def test_a_folder_of_another_kind_is_said_to_be_one(tmp_path):
  (tmp_path / "snapshots").mkdir()
  with pytest.raises(ValueError, match="Hub, give `snapshots/<revision>`"):
    files.resolve(tmp_path)
  other = tmp_path / "snapshots"
  (other / "model.gguf").write_bytes(b"GGUF")
  with pytest.raises(ValueError, match="model.gguf is GGUF of llama.cpp"):
    files.resolve(other)


def test_a_pipe_is_not_waited_for(tmp_path):
  os.mkfifo(tmp_path / "m.safetensors")
  with pytest.raises(ValueError, match="m.safetensors is no file"):
    files.shapes(tmp_path / "m.safetensors")


def test_nothing_there(tmp_path):
  with pytest.raises(FileNotFoundError, match="No checkpoint .*x.safetensors"):
    files.resolve(tmp_path / "x.safetensors")
  with pytest.raises(ValueError, match="no run of bnnjax, but nothing"):
    files.resolve(tmp_path)
  (tmp_path / "tokenizer.json").write_text("{}")
  with pytest.raises(ValueError, match="but tokenizer.json"):
    files.resolve(tmp_path)


@pytest.mark.parametrize(
  ("text", "what"),
  [
    (b"", "no JSON"),
    (b"[]", "got list"),
    (b"null", "got NoneType"),
    (b"[" * 100_000, "recursion"),
    (b'{"a": 1, "a": 2}', "'a' stands there twice"),
    (b'{"a": {"__float__": []}}', "no JSON"),
    (b"\xff\xfe{\x00}\x00", "utf-8"),
    (b'{"a": ' + b"9" * 5000 + b"}", "limit"),
  ],
)
def test_json_of_another_kind_is_named(tmp_path, text, what):
  path = tmp_path / "config.json"
  path.write_bytes(text)
  with pytest.raises(ValueError, match=rf"config.json .*{what}"):
    files.settings(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
  ("index", "what"),
  [
    ({}, "`weight_map` must say"),
    ({"weight_map": []}, "`weight_map` must say.*list"),
    ({"weight_map": {}}, "`weight_map` must say"),
    ({"weight_map": {"a": 3}}, "name of a .*got 3"),
    ({"weight_map": {"a": "../m.safetensors"}}, "beside it, got '../m"),
    ({"weight_map": {"a": "/m.safetensors"}}, "beside it"),
    ({"weight_map": {"a": "m.bin"}}, "beside it"),
    ({"weight_map": {"a": "n.safetensors"}}, r"not there: \['n.safetensors'\]"),
    ({"weight_map": {"a": "m.safetensors"}}, "not listed b"),
    ({"weight_map": {"a": "m-1-of-2.safetensors"}}, "1 files,.* of 2"),
    (
      {"weight_map": dict.fromkeys("abc", "m.safetensors")},
      "listed but not there c",
    ),
  ],
)
def test_an_index_that_does_not_agree_with_its_files(tmp_path, index, what):
  safetensors.numpy.save_file(TENSORS, tmp_path / "m.safetensors")
  path = tmp_path / "model.safetensors.index.json"
  path.write_text(json.dumps(index))
  with pytest.raises(ValueError, match=rf"index.json.*{what}"):
    files.shapes(path)


def test_a_type_that_numpy_does_not_have(tmp_path):
  header = {"a": {"dtype": "F8_E8M0", "shape": [8], "data_offsets": [0, 8]}}
  text = json.dumps(header).encode()
  text += b" " * (-len(text) % 8)
  path = tmp_path / "m.safetensors"
  path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
  with pytest.raises(ValueError, match=r"m.safetensors holds a type .*e8m0"):
    files.tensors(path)


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path):
  path = tmp_path / "m.safetensors"
  safetensors.numpy.save_file(TENSORS, path)
  path.chmod(0)
  with pytest.raises(OSError, match=r"m.safetensors"):
    files.shapes(path)
