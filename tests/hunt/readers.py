"""The readers of files: what they read, written at random, and how.

A reader writes valid files of random content beside what reading them must
give, and may know damage of its own kind.
"""

import gzip
import io
import json
import lzma
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple
from unittest import mock

import ml_dtypes
import numpy as np
import pyarrow as pa
import safetensors.numpy
from PIL import Image

from bnnjax import data
from bnnjax.data import fashion_mnist, hf, plays, wordnet
from bnnjax.models import pretrained_files
from tests.hunt import damage

Rng = np.random.Generator
Written = tuple[pathlib.Path, Any]
# Text has no checksum: most changes of it are another text.
TEXT = tuple(damage.WAYS)


class Reader(NamedTuple):
  """A reader and its files.

  Attributes:
    write: makes a valid file in a folder; gives its path and what is in it.
    read: reads the file of a path.
    blind: ways of damage that a file without a checksum cannot show: what is
      read may then differ, but neither fail nor hang.
    change: damage of its own kind, in place: its name, and whether it is blind.
    alike: `(got, want, path)`, whether a damaged file that was read is right.
  """

  write: Callable[[Rng, pathlib.Path], Written]
  read: Callable[[pathlib.Path], Any]
  blind: tuple[str, ...] = ()
  change: Callable[[Rng, pathlib.Path], tuple[str, bool]] | None = None
  alike: Callable[[Any, Any, pathlib.Path], bool] | None = None


def same(got: Any, want: Any) -> bool:
  """Whether two nests of arrays are equal, types included."""
  if isinstance(want, dict):
    return got.keys() == want.keys() and all(
      same(got[k], want[k]) for k in want
    )
  if isinstance(want, tuple):
    return len(got) == len(want) and all(map(same, got, want))
  if isinstance(want, np.ndarray):
    return got.dtype == want.dtype and np.array_equal(got, want)
  return got == want


def letters(rng: Rng, count: int, alphabet: str = "abcdefghij") -> str:
  return "".join(rng.choice(list(alphabet), count))


def text(rng: Rng, count: int) -> str:
  """Letters of several scripts, line ends, marks, emoji."""
  return letters(rng, count, "ab c.\n\r\té\u0301ßЖ中\u2028\x85\u200d😀\ufeff")


_TYPES = (
  np.float32, np.float16, np.float64, ml_dtypes.bfloat16, np.int64, np.uint8,
  np.bool_,
)  # fmt: skip


def _tensors(rng: Rng) -> dict[str, np.ndarray]:
  def one():
    shape = tuple(rng.integers(0, 5, int(rng.integers(0, 4))))
    kind = _TYPES[int(rng.integers(len(_TYPES)))]
    return np.asarray(rng.integers(0, 9, shape)).astype(kind)

  return {f"{letters(rng, 3)}.{i}": one() for i in range(rng.integers(1, 7))}


def _write_safetensors(rng, folder):
  found, path = _tensors(rng), folder / "model.safetensors"
  meta = {"format": "pt"} if rng.random() < 0.5 else None
  safetensors.numpy.save_file(found, path, metadata=meta)
  return path, found


def _read_safetensors(path):
  return pretrained_files.tensors(pretrained_files.resolve(path))


def _write_index(rng, folder):
  found = {f"x.{i}": t for i, t in enumerate(_tensors(rng).values())}
  parts = int(rng.integers(1, min(3, len(found)) + 1))
  weight_map = {}
  for i, name in enumerate(found):
    number = i % parts + 1
    weight_map[name] = f"model-{number:05d}-of-{parts:05d}.safetensors"
  for file in set(weight_map.values()):
    part = {k: v for k, v in found.items() if weight_map[k] == file}
    safetensors.numpy.save_file(part, folder / file)
  index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
  path = folder / "model.safetensors.index.json"
  path.write_text(json.dumps(index, indent=int(rng.integers(3))))
  return path, found


def _change_index(rng, path):
  part = sorted(path.parent.glob("*.safetensors"))[0]
  kind = str(rng.choice(["json", "json", "no part", "part", "swapped"]))
  if kind == "json":
    kind, data = damage.json_text(rng, json.loads(path.read_text()))
    path.write_bytes(data)
  elif kind == "no part":
    part.unlink()
  elif kind == "part":
    ways = [w for w in damage.WAYS if w not in damage.INSIDE]
    kind = str(rng.choice(ways))
    part.write_bytes(damage.WAYS[kind](rng, part.read_bytes()))
  else:
    found = safetensors.numpy.load_file(part)
    first = next(iter(found))
    safetensors.numpy.save_file({f"{first}.": found[first]}, part)
  return kind, False


def _embedded(module, name, pick=lambda got: got):
  """Reads another file in place of the embedded one."""

  def read(path):
    with mock.patch.object(module, "MINI_FILE", path):
      return pick(getattr(module, name).__wrapped__())

  return read


def _inside(blind):
  """Damages the content, not its compression."""

  def change(rng, path):
    kind = str(rng.choice(list(damage.WAYS)))
    content = damage.WAYS[kind](rng, lzma.decompress(path.read_bytes()))
    path.write_bytes(lzma.compress(content, preset=0))
    return f"{kind} inside", blind

  return change


def _write_npz(rng, folder):
  arrays = {}
  for split in ("train", "test"):
    n = int(rng.integers(1, 5))
    arrays[f"{split}_images"] = rng.integers(0, 256, (n, 28, 28), np.uint8)
    arrays[f"{split}_labels"] = rng.integers(0, 10, n).astype(np.uint8)
  path = folder / "mini.npz.xz"
  path.write_bytes(_npz(arrays))
  return path, arrays


def _npz(arrays):
  buffer = io.BytesIO()
  turned = {
    k: v.transpose(0, 2, 1) if v.ndim == 3 else v for k, v in arrays.items()
  }
  np.savez(buffer, **turned)
  return lzma.compress(buffer.getvalue(), preset=0)


def _change_npz(rng, path):
  if rng.random() < 0.4:
    return _inside(False)(rng, path)
  with np.load(io.BytesIO(lzma.decompress(path.read_bytes()))) as file:
    arrays = dict(file)
  key = str(rng.choice(list(arrays)))
  array = arrays.pop(key)
  kind = str(rng.choice(["gone", "renamed", "int32", "float", "row", "flat"]))
  other = {
    "renamed": {f"{key}_": array},
    "int32": {key: array.astype(np.int32)},
    "float": {key: array / 255},
    "row": {key: array[1:]},
    "flat": {key: array[None]},
  }
  path.write_bytes(_npz(arrays | other.get(kind, {})))
  return f"{key} {kind}", False


def _write_plays(rng, folder):
  parts = {s: text(rng, int(rng.integers(1, 99))) for s in plays.SPLITS}
  path = folder / "mini.txt.xz"
  path.write_bytes(lzma.compress("\0".join(parts.values()).encode(), preset=0))
  return path, parts


def _glosses(rng):
  return sorted(
    wordnet.Gloss(int(rng.integers(26)), f"{i} {letters(rng, 5)} \u2028 \x85é.")
    for i in range(rng.integers(1, 40))
  )


def _write_tsv(rng, folder):
  found = _glosses(rng)
  lines = "".join(f"{label}\t{gloss}\n" for label, gloss in found)
  path = folder / "mini.tsv.xz"
  path.write_bytes(lzma.compress(lines.encode(), preset=0))
  return path, found


def _all(parts):
  return sorted(gloss for part in parts.values() for gloss in part)


def _write_noun(rng, folder):
  found = [
    g._replace(text=f"{g.label} {letters(rng, 9)} é") for g in _glosses(rng)
  ]
  lines = ["  1 This software and database is provided\n"] + [
    f"{i:08d} {label + 3:02d} n 01 dog 0 000 | {gloss}  \n"
    for i, (label, gloss) in enumerate(found)
  ]
  path = folder / "data.noun"
  path.write_text("".join(lines), encoding="utf-8")
  return path, sorted(found)


_STEMS = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def _write_idx(zipped):
  def write(rng, folder):
    n = int(rng.integers(1, 6))
    parts = (
      rng.integers(0, 256, (n, 28, 28), np.uint8),
      rng.integers(0, 10, n).astype(np.uint8),
    )
    for stem, part in zip(_STEMS, parts):
      sizes = np.array(part.shape, ">u4").tobytes()
      content = bytes([0, 0, 8, part.ndim]) + sizes + part.tobytes()
      name = f"{stem}.gz" if zipped else stem
      packed = gzip.compress(content, 1, mtime=0) if zipped else content
      (folder / name).write_bytes(packed)
    stem = _STEMS[int(rng.integers(2))]
    return folder / (f"{stem}.gz" if zipped else stem), parts

  return write


def _change_idx(rng, path):
  """The header says otherwise, or the two files are not of one set."""
  zipped = path.suffix == ".gz"
  data = path.read_bytes()
  data = bytearray(gzip.decompress(data) if zipped else data)
  kind = str(rng.choice(["magic", "type", "rank", "count", "fewer", "size"]))
  if kind == "fewer":  # as it would be of another set
    count = int.from_bytes(data[4:8]) - 1
    rest = (len(data) - 4 - 4 * data[3]) // (count + 1)
    data[4:8] = count.to_bytes(4)
    data = data[: len(data) - rest]
  else:
    place = {"magic": 0, "type": 2, "rank": 3, "count": 7, "size": 4}[kind]
    data[place] = (data[place] + int(rng.integers(1, 256))) % 256
  path.write_bytes(
    gzip.compress(bytes(data), mtime=0) if zipped else bytes(data)
  )
  return kind, False


def _write_arrays(rng, folder):
  """Images and labels of two splits, as Keras names them."""
  shape = tuple(int(n) for n in rng.integers(1, 7, 2))
  found = {}
  for split in ("train", "test"):
    count = int(rng.integers(1, 9))
    labels = rng.integers(0, 3, count)
    labels[0] = 0  # a split without it is taken to begin at 1
    found[f"x_{split}"] = rng.integers(0, 256, (count, *shape), np.uint8)
    found[f"y_{split}"] = labels.astype(rng.choice([np.uint8, np.int64]))
  path = folder / "mine.npz"
  (np.savez if rng.random() < 0.3 else np.savez_compressed)(path, **found)
  return path, _examples(found["x_train"][..., None], found["y_train"])


def _examples(images, labels):
  labels = np.asarray(labels)
  return images, labels.astype(np.int32)


def _read_source(name):
  source = data.load(name)
  return tuple(source.read(range(len(source))).values())


def _write_png(rng, folder):
  channels = int(rng.choice([1, 3]))
  size = tuple(int(n) for n in rng.integers(1, 12, 2))
  values = rng.integers(0, 256, (*size, channels), np.uint8)
  path = folder / "cat" / "1.png"
  path.parent.mkdir(exist_ok=True)
  image = values if channels == 3 else values[..., 0]
  Image.fromarray(image).save(path)
  return path, _examples(values[None], [0])


def _write_arrow(rng, folder):
  """A set of one split as `datasets` saves it, with two texts."""
  count = int(rng.integers(1, 9))
  labels = rng.integers(0, 3, count)
  features = {
    "text": {"dtype": "string", "_type": "Value"},
    "label": {"_type": "ClassLabel", "names": ["a", "b", "c"]},
  }
  path = folder / "data-00000-of-00001.arrow"
  columns = {"text": [letters(rng, 5) for _ in range(count)], "label": labels}
  table = pa.table(columns)
  with pa.ipc.new_stream(str(path), table.schema) as stream:
    stream.write_table(table, max_chunksize=4)
  state = {"_data_files": [{"filename": path.name}]}
  (folder / "state.json").write_text(json.dumps(state))
  (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
  return path, (columns["text"], labels.tolist())


def _read_arrow(path):
  table = hf.HfTable(str(path.parent))
  records = list(table.records("train", ("text", "label")))
  labels = table.labels("train", "label").tolist()
  return [record["text"] for record in records], labels


READERS = {
  "npz": Reader(_write_arrays, lambda path: _read_source(f"npz:{path}")),
  "png": Reader(
    _write_png, lambda path: _read_source(f"image_folder:{path.parents[1]}")
  ),
  # Nothing says how many records there are.
  "arrow": Reader(
    _write_arrow, _read_arrow, (*damage.INSIDE, "bytes out", "bytes twice")
  ),
  "safetensors": Reader(_write_safetensors, _read_safetensors, damage.INSIDE),
  "index": Reader(_write_index, _read_safetensors, (), _change_index),
  "npz.xz": Reader(
    _write_npz, _embedded(fashion_mnist, "mini_arrays"), (), _change_npz
  ),
  "txt.xz": Reader(_write_plays, _embedded(plays, "mini"), (), _inside(True)),
  "tsv.xz": Reader(
    _write_tsv, _embedded(wordnet, "mini", _all), (), _inside(True)
  ),
  "data.noun": Reader(
    _write_noun, lambda path: _all(wordnet.full.__wrapped__(path.parent)), TEXT
  ),
  "idx": Reader(
    _write_idx(False),
    lambda path: fashion_mnist.read_idx(path.parent, "test"),
    damage.INSIDE,
    _change_idx,
  ),
  "idx.gz": Reader(
    _write_idx(True),
    lambda path: fashion_mnist.read_idx(path.parent, "test"),
    (),
    _change_idx,
  ),
}
