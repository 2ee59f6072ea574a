"""Images in one folder per class, `image_folder:PATH`.

    PATH/train/cat/1.png      or      PATH/cat/1.png
    PATH/train/dog/2.jpg              PATH/dog/2.jpg
    PATH/test/cat/3.png

The classes, sorted by name, are the labels 0, 1, ... Without folders of splits
there is one split, `train`, to be cut as `train[:90%]` and `train[90%:]`.
Images are ordered by a hash of class and file name: a part is nearly balanced,
and the same on every machine. Files are decoded when they are read.
"""

import functools
import hashlib
import os
import pathlib
import unicodedata
import warnings
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from bnnjax.core import registry
from bnnjax.data import digest, encoded_images, sources

# Formats that every Pillow reads; other files are skipped, with a warning.
SUFFIXES = (
  ".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip
TRAIN = "train"  # the split of a folder without folders of splits


class Image(NamedTuple):
  """A file: its path below PATH, its size and its time of change."""

  path: str
  size: int
  changed: int


class ImageFolder(sources.Source):
  """The images of one split.

  Args:
    root: PATH.
    files: paths below it.
    labels: ints `[N]`.
    info: description of the data set.
  """

  def __init__(
    self,
    root: pathlib.Path,
    files: list[str],
    labels: np.ndarray,
    info: sources.DatasetInfo,
  ):
    self.info = info
    self._root, self._files, self._labels = root, files, labels

  def __len__(self) -> int:
    return len(self._files)

  def __getitem__(self, index: int) -> sources.Example:
    path = self._root / self._files[index]
    data = path.read_bytes()
    image = encoded_images.pixels(data, str(path), self.info.shape[2])
    return {"image": image, "label": int(self._labels[index])}

  def all_labels(self):
    return self._labels

  def digest(self):
    return digest.of(
      (self.info.num_classes, self.info.mean, self.info.std),
      self._labels,
      digest.of_files(self._root / file for file in self._files),
    )


def _info(split: str, *, path: str, channels: int) -> sources.DatasetInfo:
  return _described(path, split, channels, *_scan(path))


@registry.register("source", "image_folder")
@sources.with_info(_info)
def image_folder(
  split: str, *, path: str = "", channels: int = 0
) -> sources.Source:
  """Images in one folder per class, `image_folder:PATH`.

  Args:
    split: a folder in PATH; "train" if PATH holds the folders of classes.
    path: the part after the colon.
    channels: 3, or 1 to convert colours to grey; 0 means 3 if any image has
      colours.

  Raises:
    DataNotFoundError: no such folder.
    ValueError: folders of splits and classes are mixed up, a class has no
      images or none in `train`, or a file is not a supported image; names it.

  Warns:
    UserWarning: some files are skipped.
  """
  splits, classes = _scan(path)
  info = _described(path, split, channels, splits, classes)
  numbers = {name: number for number, name in enumerate(classes)}
  files = [image.path for image in sorted(splits[split], key=_order)]
  labels = [numbers[_names(file)[0]] for file in files]
  return ImageFolder(_root(path), files, np.array(labels, np.int32), info)


def _order(image: Image) -> bytes:
  """Sorting key of class and file name, independent of folder and machine."""
  return hashlib.sha256(os.fsencode("/".join(_names(image.path)))).digest()


def _names(path: str) -> list[str]:
  """Class and file name of a path."""
  return path.split("/")[-2:]


def _described(
  path: str,
  split: str,
  channels: int,
  splits: Mapping[str, tuple[Image, ...]],
  classes: tuple[str, ...],
) -> sources.DatasetInfo:
  if channels not in (0, 1, 3):
    raise ValueError(f"`channels` must be 1 or 3 (or 0): got {channels}.")
  name = f"image_folder:{path}"
  if split not in splits and list(splits) == [TRAIN]:
    raise ValueError(
      f"{name!r} holds the one split {TRAIN!r}, got {split!r}: cut it, as"
      f" '{TRAIN}[:90%]' and '{TRAIN}[90%:]' (`data.train_split`,"
      " `data.eval_split`), or sort the classes into folders of splits."
    )
  sources.check_split(name, split, splits)
  images = tuple(i for some in splits.values() for i in some)
  height, width, most = _shape(_root(path), images)
  channels = channels or most
  return sources.DatasetInfo(
    name,
    (height, width, channels),
    len(classes),
    (0.5,) * channels,
    (0.25,) * channels,
    {key: len(images) for key, images in splits.items()},
  )


def _root(path: str) -> pathlib.Path:
  return pathlib.Path(path).expanduser().absolute()


@functools.lru_cache(maxsize=2)  # every split of a run asks for it
def _shape(
  root: pathlib.Path, images: tuple[Image, ...]
) -> tuple[int | None, int | None, int]:
  """Common shape of all images, from their headers."""
  paths = (root / image.path for image in images)
  return encoded_images.shape_of(
    encoded_images.header(p, str(p)) for p in paths
  )


def _scan(path: str) -> tuple[dict[str, tuple[Image, ...]], tuple[str, ...]]:
  """Images by split, and the names of classes."""
  root = _root(path)
  if not path or not root.is_dir():
    kind = " It is a file." if root.is_file() else ""
    near = registry.nearest(root.name, _listed(root.parent)[0])
    raise sources.DataNotFoundError(
      f"No folder of images {path!r}: write it as 'image_folder:PATH'."
      f"{kind or near}"
    )
  folders, files = _listed(root)
  inside = {name: _listed(root / name)[0] for name in folders}
  flat = [name for name, classes in inside.items() if not classes]
  if not folders or 0 < len(flat) < len(folders):
    found = (
      f"{flat[0]!r} holds no folder, others do" if flat else "it holds none"
    )
    raise ValueError(
      f"{root} must hold folders of classes, as {root / 'cat' / '1.png'}, or of"
      f" splits with those, as {root / TRAIN / 'cat' / '1.png'}: {found}."
    )
  if flat:
    inside = {TRAIN: folders}
  tops = {split: root if flat else root / split for split in inside}
  splits, left = {}, [f for f in files if f.lower().endswith(SUFFIXES)]
  for split, classes in inside.items():
    top = tops[split]
    left += [
      f"{split}/{f}"
      for f in _listed(top)[1]
      if not flat and f.lower().endswith(SUFFIXES)
    ]
    splits[split] = tuple(
      image for name in classes for image in _images(root, top / name, left)
    )
  _check_classes(tops, splits, inside)
  _check_learned(root, splits)
  if left:
    warnings.warn(
      f"{len(left)} file(s) in {root} are left out, no images in the folder of a"
      f" class: {', '.join(sorted(left)[:4])}{' ...' * (len(left) > 4)}.",
      stacklevel=2,
    )
  return splits, tuple(sorted({c for some in inside.values() for c in some}))


def _images(
  root: pathlib.Path, folder: pathlib.Path, left: list[str]
) -> list[Image]:
  """The images of a class; adds other files to `left`."""
  folders, files = _listed(folder)
  if folders:
    raise ValueError(
      f"{folder} is the folder of a class, but holds the folder {folders[0]!r}:"
      " its images must lie in it."
    )
  found = []
  for name in files:
    path = (folder / name).relative_to(root).as_posix()
    if not name.lower().endswith(SUFFIXES):
      left.append(path)
      continue
    try:
      stat = os.stat(folder / name)
    except OSError as error:  # a link to nowhere
      raise ValueError(
        f"The image {folder / name} cannot be read: {error.strerror}."
      ) from error
    found.append(Image(path, stat.st_size, stat.st_mtime_ns))
  return found


def _check_classes(
  tops: Mapping[str, pathlib.Path],
  splits: Mapping[str, tuple[Image, ...]],
  inside: Mapping[str, list[str]],
) -> None:
  """Raises if a class has no image in any split, or a split has none."""
  filled = {_names(i.path)[0] for images in splits.values() for i in images}
  for split, classes in inside.items():
    empty = [tops[split] / name for name in classes if name not in filled]
    if empty or not splits[split]:
      raise ValueError(
        f"{(empty or [tops[split]])[0]} holds no image ({', '.join(SUFFIXES)}):"
        " remove the folder, or fill it."
      )


def _check_learned(
  root: pathlib.Path, splits: Mapping[str, tuple[Image, ...]]
) -> None:
  """Raises if a split has images of a class and `train` has none."""
  filled = {s: {_names(i.path)[0] for i in splits[s]} for s in splits}
  learned = sorted(filled.get(TRAIN, ()))
  for split, names in filled.items():
    others = sorted(names.difference(learned))
    if learned and others:
      shown = ", ".join(map(repr, others[:4])) + " ..." * (len(others) > 4)
      raise ValueError(
        f"{root / split} has images of {shown}, but {root / TRAIN} has none, so"
        " that they cannot be learned: rename or remove such folders, or give"
        f" {TRAIN!r} images of them."
        f"{''.join(_alike(name, learned) for name in others[:4])}"
      )


def _alike(name: str, learned: list[str]) -> str:
  """A hint at the class of `train` that a name was meant to be."""
  for other in learned:
    forms = [unicodedata.normalize("NFC", n) for n in (name, other)]
    if forms[0] == forms[1]:
      return f" {name!a} and {other!a} differ only in the Unicode normal form."
    if forms[0].casefold() == forms[1].casefold():
      return f" {name!r} and {other!r} differ only in case."
  near = registry.nearest(name, learned)
  return f" {name!r}:{near}" if near else ""


def _listed(folder: pathlib.Path) -> tuple[list[str], list[str]]:
  """Sorted names of the folders and the files, without hidden ones."""
  if not folder.is_dir():
    return [], []
  with os.scandir(folder) as found:
    entries = [e for e in found if not e.name.startswith(".")]
  entries.sort(key=lambda entry: entry.name)
  return (
    [e.name for e in entries if e.is_dir()],
    [e.name for e in entries if not e.is_dir()],
  )
