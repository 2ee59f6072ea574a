"""Images that need no file: learnable noise for smoke runs and tests."""

import numpy as np

from bnnjax.core import registry
from bnnjax.data import sources

_SPLITS = ("train", "test")


class FakeSource(sources.Source):
  """Class patterns under noise, made on demand from (seed, split, index).

  Pixel = 128 + 40 * (pattern of the class, +-1) + uniform noise in [-64, 64).
  The patterns depend on the seed alone, so both splits share them, and are
  blocks of 4x4 pixels, so that convolutions and padded crops can learn them.
  """

  def __init__(
    self,
    split: str,
    shape: tuple[int, int, int],
    num_classes: int,
    size: int,
    seed: int,
  ):
    self.info = sources.DatasetInfo(
      name="fake",
      shape=shape,
      num_classes=num_classes,
      mean=(0.5,) * shape[2],
      std=(0.25,) * shape[2],
      splits=dict.fromkeys(_SPLITS, size),
    )
    self._size = size
    self._seed = seed, _SPLITS.index(split)
    height, width, channels = shape
    coarse = -(-height // 4), -(-width // 4), channels
    signs = np.random.default_rng(seed).choice((-1, 1), (num_classes, *coarse))
    blocks = signs.repeat(4, axis=1).repeat(4, axis=2)[:, :height, :width]
    self._patterns = (128 + 40 * blocks).astype(np.int16)

  def __len__(self) -> int:
    return self._size

  def __getitem__(self, index: int) -> sources.Example:
    index = range(self._size)[index]  # IndexError, and -1 is the last one
    label = index % self.info.num_classes
    rng = np.random.default_rng((*self._seed, index))
    noise = rng.integers(-64, 64, self.info.shape, np.int16)
    return {
      "image": (self._patterns[label] + noise).astype(np.uint8),
      "label": label,
    }


@registry.register("source", "fake")
def fake(
  split: str,
  *,
  shape: tuple[int, int, int] = (28, 28, 1),
  num_classes: int = 10,
  size: int = 512,
  seed: int = 0,
) -> sources.Source:
  """Learnable fake images of any shape.

  Args:
    split: "train" or "test".
    shape: `(H, W, C)` of an image.
    num_classes: number of labels; they take turns, so classes are balanced.
    size: number of examples of the split.
    seed: another seed gives other patterns and other noise.
  """
  sources.check_split("fake", split, _SPLITS)
  shape = tuple(shape)
  if len(shape) != 3 or min(shape) < 1:
    raise ValueError(f"`shape` must be (height, width, channels): got {shape}.")
  if size < 1 or num_classes < 2:
    raise ValueError(
      "A fake data set needs at least 1 example and 2 classes: got"
      f" size={size}, num_classes={num_classes}."
    )
  return FakeSource(split, shape, num_classes, size, seed)
