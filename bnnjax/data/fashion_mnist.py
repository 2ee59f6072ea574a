"""Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747): full and embedded.

28x28 grey images of clothes, 10 classes, MIT licence (Zalando SE).
"""

import functools
import gzip
import io
import lzma
import pathlib
from collections.abc import Mapping

import numpy as np

from bnnjax.core import registry
from bnnjax.data import sources, tfds_source

DEBIAN_FOLDER = pathlib.Path("/usr/share/datasets/fashion-mnist")
MINI_FILE = (
  pathlib.Path(__file__).parent / "embedded" / "fashion_mnist_mini.npz.xz"
)
SPLITS = {"train": 60_000, "test": 10_000}
MINI_SPLITS = {"train": 10_000, "test": 2_000}
_PREFIX = {"train": "train", "test": "t10k"}


def _info(name: str, splits: Mapping[str, int]) -> sources.DatasetInfo:
  mean, std = tfds_source.MEAN_STD["fashion_mnist"]
  return sources.DatasetInfo(name, (28, 28, 1), 10, mean, std, splits)


@registry.register("source", "fashion_mnist_mini")
def fashion_mnist_mini(split: str) -> sources.Source:
  """The first 1,000 train and 200 test images of each class, in the package."""
  sources.check_split("fashion_mnist_mini", split, MINI_SPLITS)
  arrays = mini_arrays()
  return sources.ArraySource(
    arrays[f"{split}_images"][..., None],
    arrays[f"{split}_labels"],
    _info("fashion_mnist_mini", MINI_SPLITS),
  )


@functools.cache  # a run opens both splits; xz takes 0.2 s each time
def mini_arrays() -> dict[str, np.ndarray]:
  """Reads the embedded file: read-only `<split>_images`, `<split>_labels`."""
  with np.load(io.BytesIO(lzma.decompress(MINI_FILE.read_bytes()))) as file:
    arrays = {key: file[key] for key in file.files}
  for key, value in arrays.items():
    if value.ndim == 3:  # stored column by column: compresses better
      arrays[key] = np.ascontiguousarray(value.transpose(0, 2, 1))
    arrays[key].flags.writeable = False  # shared by every caller
  return arrays


@registry.register("source", "fashion_mnist")
def fashion_mnist(split: str, *, data_dir: str | None = None) -> sources.Source:
  """All 70,000 images.

  Args:
    split: "train" or "test".
    data_dir: folder of the four IDX files (gzipped or not), or of prepared
      tfds data. By default the Debian package's folder, then tfds' own.
  """
  sources.check_split("fashion_mnist", split, SPLITS)
  folder = pathlib.Path(data_dir).expanduser() if data_dir else DEBIAN_FOLDER
  if _find(folder, f"{_PREFIX[split]}-images-idx3-ubyte"):
    images, labels = read_idx(folder, split)
    return sources.ArraySource(
      images[..., None], labels, _info("fashion_mnist", SPLITS)
    )
  try:
    return tfds_source.tfds(split, dataset="fashion_mnist", data_dir=data_dir)
  except sources.DataNotFoundError as error:
    raise sources.DataNotFoundError(
      f"Fashion-MNIST is neither in {folder} (four IDX files) nor prepared by"
      " tfds. Give the folder that has it as `data_dir`; or get it with"
      " `apt-get install dataset-fashion-mnist` (Debian, Ubuntu); or"
      f" {tfds_source.how_to_prepare('fashion_mnist', data_dir)}."
      " 'fashion_mnist_mini', 12,000 of the images, needs no download."
    ) from error


def read_idx(folder: pathlib.Path, split: str) -> tuple[np.ndarray, np.ndarray]:
  """Images uint8 `[N, 28, 28]` and labels uint8 `[N]` of the original files."""
  parts = []
  for kind in ("images-idx3", "labels-idx1"):
    stem = f"{_PREFIX[split]}-{kind}-ubyte"
    path = _find(folder, stem)
    if not path:
      raise sources.DataNotFoundError(
        f"No file {stem} or {stem}.gz in {folder}. Get it with `apt-get install"
        " dataset-fashion-mnist`."
      )
    parts.append(_parse_idx(path))
  return tuple(parts)


def _find(folder: pathlib.Path, stem: str) -> pathlib.Path | None:
  for path in (folder / f"{stem}.gz", folder / stem):
    if path.is_file():
      return path
  return None


def _parse_idx(path: pathlib.Path) -> np.ndarray:
  data = path.read_bytes()
  if path.suffix == ".gz":
    data = gzip.decompress(data)
  # Two zero bytes, the type (8 = unsigned byte), the rank, then big-endian
  # sizes, then the values.
  if data[:3] != b"\0\0\x08":
    raise ValueError(f"{path} is not an IDX file of bytes.")
  rank = data[3]
  shape = np.frombuffer(data, ">i4", rank, offset=4)
  values = np.frombuffer(data, np.uint8, offset=4 + 4 * rank)
  if values.size != shape.prod():
    raise ValueError(
      f"{path} holds {values.size} values, its header says {shape.tolist()}."
    )
  return values.reshape(shape)
