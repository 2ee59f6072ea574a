"""What a pipeline runs per batch: read, augment, normalise; picklable."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from bnnjax.data import augment, check, sources

Batch = dict[str, np.ndarray]
Prepare = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Normalise:
  """(pixel / 255 - mean) / std per channel, as one multiply and one add."""

  scale: np.ndarray
  shift: np.ndarray

  def __call__(self, images: np.ndarray) -> np.ndarray:
    out = np.empty(images.shape, np.float32)
    np.multiply(images, self.scale, out=out)
    return np.add(out, self.shift, out=out)


def normaliser(
  info: sources.DatasetInfo,
  mean: Sequence[float] | None,
  std: Sequence[float] | None,
) -> Prepare:
  """Checks mean and std (by default the data set's own) and folds them.

  Tokens pass as they are.

  Raises:
    ValueError: not one value a channel, a `mean` outside 0 .. 1, a `std` that
      is not positive, or either given for text.
  """
  if info.kind is sources.TEXT:
    if mean is not None or std is not None:
      raise ValueError(
        f"`mean` and `std` are of pixels, but {info.name!r} holds text."
      )
    return np.asarray
  mean = info.mean if mean is None else mean
  std = info.std if std is None else std
  channels = info.shape[2]
  for name, value in (("mean", mean), ("std", std)):
    if len(value) not in (1, channels):
      raise ValueError(
        f"`{name}` has {len(value)} values, but the images of {info.name!r}"
        f" have {channels} channel(s)."
      )
  mean, std = np.array(mean, np.float64), np.array(std, np.float64)
  if not (std > 0).all():
    raise ValueError(f"`std` must be positive: got {std.tolist()}.")
  if not ((mean >= 0) & (mean <= 1)).all():
    raise ValueError(
      f"`mean` must be of pixels in 0 .. 1, got {mean.tolist()}: if it is of"
      " pixels in 0 .. 255, divide mean and std by 255."
    )
  return Normalise(
    (1 / (255 * std)).astype(np.float32), (-mean / std).astype(np.float32)
  )


@dataclasses.dataclass(frozen=True)
class TrainBatch:
  """Positions `[B]` and a generator to a batch, checked (see `check`)."""

  source: sources.Source
  augments: tuple[augment.Augment, ...]
  normalise: Prepare

  def __call__(self, positions: np.ndarray, rng: np.random.Generator) -> Batch:
    info = self.source.info
    batch, key = self.source.read(positions), info.kind.key
    batch = check.batch(batch, info, positions)
    inputs = augment.apply(self.augments, batch[key], rng)
    return {**batch, key: self.normalise(inputs)}


@dataclasses.dataclass(frozen=True)
class EvalBatch:
  """Number of a batch to that batch, filled up and masked."""

  source: sources.Source
  augments: tuple[augment.Augment, ...]
  normalise: Prepare
  batch_size: int
  part: slice  # of this process

  def __call__(self, number: int) -> Batch:
    start = number * self.batch_size
    positions = np.arange(start, start + self.batch_size)[self.part]
    inside = positions < len(self.source)
    # The same draws in every evaluation, should an augmentation make any.
    rng = np.random.default_rng(number)
    read = TrainBatch(self.source, self.augments, self.normalise)
    batch = read(np.where(inside, positions, 0), rng)
    return {**batch, "mask": inside.astype(np.float32)}
