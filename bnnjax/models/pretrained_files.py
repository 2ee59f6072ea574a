"""Files of checkpoints: folders, safetensors, their indexes, `config.json`.

Errors name the file and the fault.
"""

import glob
import json
import os
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import safetensors
import safetensors.numpy

FILE, INDEX = ".safetensors", ".safetensors.index.json"
ENDINGS = (FILE, INDEX)  # of the files that are read
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".bin.index.json")
_OF = re.compile(r"-of-(\d+)\.safetensors$")  # a part of a numbered set
_SHOWN = 6  # entries of a folder in a message
_PICKLE = "a pickle, such as PyTorch's .bin and .pt are"
# Suffix of a file -> its format.
_NAMED = {
  ".h5": "HDF5, such as Keras and TensorFlow write",
  ".keras": "an archive of Keras",
  ".msgpack": "msgpack, such as Flax writes",
  ".gguf": "GGUF of llama.cpp",
  ".ggml": "GGML of llama.cpp",
  ".onnx": "ONNX",
  ".tflite": "TensorFlow Lite",
  ".npz": "an archive of numpy's arrays",
  ".npy": "an array of numpy",
  ".pkl": "a pickle, which may run any code",
}
OTHERS = (*PICKLES, *_NAMED)  # files of weights that are not read
# First bytes of a file -> its format.
_BEGINNINGS = (
  (b"PK\x03\x04", "a zip archive, such as PyTorch's .bin and .pt are"),
  *((bytes([0x80, n]), _PICKLE) for n in range(2, 6)),
  (b"version https://git-lfs", "a pointer of Git LFS, not the weights"),
  (b"\x1f\x8b", "compressed by gzip: unpack it first"),
  (b"\xfd7zXZ", "compressed by xz: unpack it first"),
  (b"\x89HDF", "HDF5, such as Keras and TensorFlow write"),
  (b"GGUF", "GGUF of llama.cpp"),
  (b"<", "HTML or XML, perhaps the page of a failed download"),
  (b"{", "JSON"),
)


def resolve(source: str | os.PathLike) -> pathlib.Path:
  """The safetensors file, or the index of several, at a path.

  Args:
    source: such a file, or a folder with one.

  Raises:
    ValueError: another kind of file (for PyTorch's, the message has the command
      that converts it), or a folder with none or several.
    FileNotFoundError: no such path.
  """
  path = pathlib.Path(source).expanduser()
  if path.is_dir():
    path = _inside(path)
  if not os.path.lexists(path):
    raise FileNotFoundError(f"No checkpoint {path}.")
  if path.name.endswith(PICKLES):
    raise ValueError(_convert(path))
  if not path.name.endswith(ENDINGS):
    raise ValueError(
      f"{path} is {_named(path) or 'no checkpoint that can be read'}. Give a"
      f" `{FILE}` file, the `{INDEX}` of several, or their folder."
    )
  return path


def settings(path: pathlib.Path) -> dict[str, Any] | None:
  """The `config.json` beside a checkpoint, or `None`."""
  beside = path.with_name("config.json")
  return read_json(beside) if os.path.lexists(beside) else None


def shapes(path: pathlib.Path) -> dict[str, tuple[int, ...]]:
  """Shapes of all tensors by name, from the headers."""

  def read(file):
    with safetensors.safe_open(file, "numpy") as opened:
      names = opened.keys()
      return {k: tuple(opened.get_slice(k).get_shape()) for k in names}

  return _gather(path, read)


def tensors(path: pathlib.Path) -> dict[str, Any]:
  """All tensors by name."""
  return _gather(path, safetensors.numpy.load_file)


def all_of(source: str | os.PathLike) -> list[pathlib.Path]:
  """The file of a checkpoint, or the index and all files in it.

  Raises:
    ValueError, FileNotFoundError: as `resolve`, or a bad index.
  """
  path = resolve(source)
  parts = _parts(path) if path.name.endswith(INDEX) else {}
  return [path, *sorted(parts)]


def read_json(path: pathlib.Path) -> dict[str, Any]:
  """The object of a JSON file.

  `{"__float__": "Infinity"}`, which `transformers` writes, becomes a float.

  Raises:
    ValueError: not UTF-8, not JSON, nested too deep, a duplicate key, or not an
      object.
  """
  try:
    text = path.read_bytes().decode("utf-8-sig")
    found = json.loads(text, object_pairs_hook=_entry)
  except (ValueError, TypeError, RecursionError) as error:
    raise ValueError(f"{path} is no JSON that can be read: {error}.") from error
  if not isinstance(found, dict):
    raise ValueError(
      f"{path} must hold an object {{...}}: got {type(found).__name__}."
    )
  return found


def _entry(pairs: list[tuple[str, Any]]) -> Any:
  entry = dict(pairs)
  if len(entry) != len(pairs):
    keys = [key for key, _ in pairs]
    twice = next(k for k in keys if keys.count(k) > 1)
    raise ValueError(f"the key {twice!r} stands there twice")
  return float(entry["__float__"]) if entry.keys() == {"__float__"} else entry


def _inside(folder: pathlib.Path) -> pathlib.Path:
  """The only checkpoint of a folder."""
  names = sorted(file.name for file in folder.iterdir())
  found = [name for name in names if name.endswith(INDEX)]
  parts = {p.name for name in found for p in _parts(folder / name)}
  found += [n for n in names if n.endswith(FILE) and n not in parts]
  if len(found) == 1:
    return folder / found[0]
  if found:
    raise ValueError(
      f"{folder} holds several checkpoints: give one of {', '.join(found)}."
    )
  pickles = [name for name in names if name.endswith(PICKLES)]
  if pickles:
    raise ValueError(_convert(folder / pickles[0]))
  shown = ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
  others = [n for n in names if pathlib.PurePath(n).suffix in _NAMED]
  more = f" {others[0]} is {_named(folder / others[0])}." if others else ""
  if "snapshots" in names:
    more = " Of a cache of the Hugging Face Hub, give `snapshots/<revision>`."
  raise ValueError(
    f"{folder} holds no `{FILE}` file and no run of bnnjax, but"
    f" {shown or 'nothing'}.{more}"
  )


def _convert(path: pathlib.Path) -> str:
  """The error for files of PyTorch, with the command that converts them."""
  folder, name = path.parent, path.name
  if name.endswith(".index.json"):
    name = name.removesuffix(".bin.index.json") + "*.bin"
  elif "-of-" in name:
    name = name.partition("-")[0] + "-*" + path.suffix
  target = folder / ("model" + FILE)
  return (
    f"{path} is a pickle of PyTorch, which is not read: a pickle may run any"
    " code. Convert it once where torch is installed, then give the result:"
    ' python -c "import glob, torch; from safetensors.torch import save_file;'
    " save_file({k: v.clone().contiguous() for f in"
    f" sorted(glob.glob('{glob.escape(str(folder))}/{name}')) for k, v in torch.load(f,"
    f" map_location='cpu', weights_only=True).items()}}, '{target}')\""
  )


def _parts(index: pathlib.Path) -> dict[pathlib.Path, set[str]]:
  """The files in an index, with the tensors of each.

  Raises:
    ValueError: not an index, or its files are not beside it.
  """
  listed = read_json(index).get("weight_map")
  if not isinstance(listed, dict) or not listed:
    raise ValueError(
      f"{index} is no index: `weight_map` must say in which file each tensor"
      f" is, got {type(listed).__name__} {str(listed)[:40]!r}."
    )
  parts = {}
  for tensor, name in listed.items():
    if not isinstance(name, str) or not _plain(name):
      raise ValueError(
        f"{index}: the file of {tensor!r} must be the name of a `{FILE}` file"
        f" beside it, got {name!r}."
      )
    parts.setdefault(index.with_name(name), set()).add(tensor)
  numbered = (_OF.search(file.name) for file in parts)
  for total in {int(found[1]) for found in numbered if found}:
    if total != len(parts):
      raise ValueError(
        f"{index} lists {len(parts)} files, which are called of {total}."
      )
  return parts


def _plain(name: str) -> bool:
  return (
    name.endswith(FILE)
    and "\0" not in name
    and name == pathlib.PurePath(name).name
  )


def _gather(path: pathlib.Path, read) -> dict[str, Any]:
  """Merges the results of `read` for a file, or for all files in an index.

  Raises:
    ValueError: a file is damaged or missing, or the index has other tensors.
  """
  if not path.name.endswith(INDEX):
    return _read(path, read)
  parts, found = _parts(path), {}
  if lacking := sorted(f.name for f in parts if not f.exists()):
    raise ValueError(f"{path} lists files that are not there: {lacking}.")
  for file in sorted(parts):
    part = _read(file, read)
    if part.keys() != parts[file]:
      raise ValueError(
        f"{path} and {file.name} disagree: listed but not there"
        f" {_some(parts[file] - part.keys())}, there but not listed"
        f" {_some(part.keys() - parts[file])}."
      )
    found |= part
  return found


def _read(file: pathlib.Path, read) -> Mapping[str, Any]:
  if file.exists() and not file.is_file():  # reading a pipe would block
    raise ValueError(f"{file} is {'a folder' if file.is_dir() else 'no file'}.")
  try:
    found = read(file)
  except safetensors.SafetensorError as error:
    kind = _kind(file) or "damaged, or no safetensors file"
    raise ValueError(f"{file} is {kind}: {error}.") from error
  except (KeyError, TypeError, AttributeError) as error:
    raise ValueError(
      f"{file} holds a type that numpy does not have: {error}."
    ) from error
  except OSError as error:  # its message does not name the file
    raise type(error)(f"{file} cannot be read: {error}.") from error
  if not found:
    raise ValueError(f"{file} holds no tensor.")
  return found


def _named(file: pathlib.Path) -> str:
  """Format of a file, from its suffix or its first bytes."""
  return _NAMED.get(file.suffix) or _kind(file)


def _kind(file: pathlib.Path) -> str:
  """Format of a file from its first bytes, empty if they do not show it."""
  if not file.is_file():
    return ""
  with file.open("rb") as opened:
    head = opened.read(24)
  if not head:
    return "empty"
  if head[2:8] == bytes(6):  # safetensors begins with the length of its header
    return ""
  found = (what for begin, what in _BEGINNINGS if head.startswith(begin))
  return next(found, "")


def _some(names: Iterable[str]) -> str:
  names = sorted(names)
  return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "") or "nothing"
