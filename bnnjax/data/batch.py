"""How a pipeline makes a batch: read, check, augment, normalise; picklable."""

import dataclasses

import numpy as np

from bnnjax.data import augment, checks, normalisation, sources

Batch = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class TrainBatch:
  """Makes a checked batch of positions `[B]` and a random generator."""

  source: sources.Source
  augments: tuple[augment.Augment, ...]
  normalise: normalisation.Prepare

  def __call__(self, positions: np.ndarray, rng: np.random.Generator) -> Batch:
    info = self.source.info
    batch, key = self.source.read(positions), info.kind.key
    batch = checks.batch(batch, info, positions)
    inputs = augment.apply(self.augments, batch[key], rng)
    return {**batch, key: self.normalise(inputs)}


@dataclasses.dataclass(frozen=True)
class EvalBatch:
  """Makes the batch of a given number, padded to full size and masked."""

  source: sources.Source
  augments: tuple[augment.Augment, ...]
  normalise: normalisation.Prepare
  batch_size: int
  part: slice  # of this process

  def __call__(self, number: int) -> Batch:
    start = number * self.batch_size
    positions = np.arange(start, start + self.batch_size)[self.part]
    inside = positions < len(self.source)
    # If an augmentation draws, every evaluation draws the same.
    rng = np.random.default_rng(number)
    read = TrainBatch(self.source, self.augments, self.normalise)
    batch = read(np.where(inside, positions, 0), rng)
    return {**batch, "mask": inside.astype(np.float32)}
