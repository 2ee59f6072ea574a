"""Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747): full and embedded.

28x28 grey images of clothes, 10 classes, MIT licence (Zalando SE).
"""

import functools
import pathlib
from collections.abc import Mapping

import numpy as np

from bnnjax.core import registry
from bnnjax.data import archives, embedded, normalisation, sources, tfds_source

DEBIAN_FOLDER = pathlib.Path("/usr/share/datasets/fashion-mnist")
MINI_FILE = embedded.FASHION_MNIST
SPLITS = {"train": 60_000, "test": 10_000}
MINI_SPLITS = {"train": 10_000, "test": 2_000}
_PREFIX = {"train": "train", "test": "t10k"}
_SIDE, _CLASSES = 28, 10


def _info(name: str, splits: Mapping[str, int]) -> sources.DatasetInfo:
  mean, std = normalisation.MEAN_STD["fashion_mnist"]
  shape = (_SIDE, _SIDE, 1)
  return sources.DatasetInfo(name, shape, _CLASSES, mean, std, splits)


def _mini_info(split: str) -> sources.DatasetInfo:
  sources.check_split("fashion_mnist_mini", split, MINI_SPLITS)
  return _info("fashion_mnist_mini", MINI_SPLITS)


def _full_info(split: str, **options: str | None) -> sources.DatasetInfo:
  del options  # the description is the same in every folder
  sources.check_split("fashion_mnist", split, SPLITS)
  return _info("fashion_mnist", SPLITS)


@registry.register("source", "fashion_mnist_mini")
@sources.with_info(_mini_info)
def fashion_mnist_mini(split: str) -> sources.Source:
  """1,000 training and 200 test images of each class, in the package."""
  info = _mini_info(split)
  arrays = mini_arrays()
  if f"{split}_images" not in arrays:
    raise ValueError(f"{MINI_FILE} has no {split!r} split.")
  return sources.ArraySource(
    arrays[f"{split}_images"][..., None],
    arrays[f"{split}_labels"],
    info,
  )


@functools.cache  # a run opens both splits, and xz takes 0.2 s
def mini_arrays() -> dict[str, np.ndarray]:
  """Read-only `<split>_images` and `<split>_labels` of the embedded file.

  Raises:
    ValueError: the file is damaged, or holds other arrays.
  """
  arrays = archives.arrays(MINI_FILE)
  named = {f"{s}_{kind}" for s in MINI_SPLITS for kind in ("images", "labels")}
  if not arrays or arrays.keys() - named:
    raise ValueError(
      f"{MINI_FILE} must hold {', '.join(sorted(named))}: got"
      f" {', '.join(sorted(arrays)) or 'nothing'}."
    )
  for key, value in arrays.items():
    if value.ndim == 3:  # stored by columns, which compresses better
      arrays[key] = np.ascontiguousarray(value.transpose(0, 2, 1))
    arrays[key].flags.writeable = False  # shared by every caller
  for split in {key.partition("_")[0] for key in arrays}:
    _check(
      arrays.get(f"{split}_images"), arrays.get(f"{split}_labels"), MINI_FILE
    )
  return arrays


def _check(
  images: np.ndarray | None, labels: np.ndarray | None, where: object
) -> None:
  """Raises unless images are uint8 `[N, 28, 28]` and labels 0 .. 9 `[N]`."""
  got = [x is not None and (str(x.dtype), x.shape) for x in (images, labels)]
  count = len(labels) if got[1] and labels.ndim == 1 else 0
  wanted = ("uint8", (count, _SIDE, _SIDE)), ("uint8", (count,))
  if not count or got != list(wanted):
    raise ValueError(
      f"{where}: images must be uint8 [N, {_SIDE}, {_SIDE}] and labels uint8"
      f" [N], N > 0: got {got[0] or 'none'} and {got[1] or 'none'}."
    )
  if (wrong := labels >= _CLASSES).any():
    raise ValueError(
      f"{where}: labels must be 0 .. {_CLASSES - 1}: {int(wrong.sum())} of"
      f" {count} are not, the first {labels[wrong][0]} in record"
      f" {int(wrong.argmax())}."
    )


@registry.register("source", "fashion_mnist")
@sources.with_info(_full_info)
def fashion_mnist(split: str, *, data_dir: str | None = None) -> sources.Source:
  """All 70,000 images.

  Args:
    split: "train" or "test".
    data_dir: folder of the four IDX files (gzipped or not) or of prepared tfds
      data; by default the Debian package's folder, then that of tfds.
  """
  info = _full_info(split)
  folder = pathlib.Path(data_dir).expanduser() if data_dir else DEBIAN_FOLDER
  if _find(folder, f"{_PREFIX[split]}-images-idx3-ubyte"):
    images, labels = read_idx(folder, split)
    return sources.ArraySource(images[..., None], labels, info)
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
  """Images uint8 `[N, 28, 28]` and labels uint8 `[N]` of the original files.

  Raises:
    DataNotFoundError: a file is missing.
    ValueError: a file is damaged, or the two do not match.
  """
  parts, paths = [], []
  for kind, rest in (("images-idx3", (_SIDE, _SIDE)), ("labels-idx1", ())):
    stem = f"{_PREFIX[split]}-{kind}-ubyte"
    path = _find(folder, stem)
    if not path:
      raise sources.DataNotFoundError(
        f"No file {stem} or {stem}.gz in {folder}. Get it with `apt-get install"
        " dataset-fashion-mnist`."
      )
    paths.append(path)
    parts.append(archives.idx(path, (None, *rest)))
  _check(*parts, " and ".join(map(str, paths)))
  return tuple(parts)


def _find(folder: pathlib.Path, stem: str) -> pathlib.Path | None:
  for path in (folder / f"{stem}.gz", folder / stem):
    if path.exists():
      return path
  return None
