"""Pipelines from a source to batches: grain iterators with a saved position.

grain shuffles and batches *positions*. Images are read, augmented and
normalised in numpy, a whole batch at a time: to pad, crop and flip 10,000
images of 28x28 takes 0.11 s on one core, and 0.47 s image by image.

Batches are dicts of numpy arrays: `image` float32 `[B, H, W, C]` or `tokens`
int32 `[B, T]` (0 after the end of a text), `label` int32 `[B]`, other keys of
the source (`windows` has no label, but `chars` and `scored`), and in evaluation
`mask` float32 `[B]`, 0 for the padding of the last batch.
"""

import dataclasses
import typing
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bnnjax.data import augment as augment_lib
from bnnjax.data import batch, checks, normalisation, sources
from bnnjax.data import workers as workers_lib

if typing.TYPE_CHECKING:
  import grain  # takes 0.7 s: imported only when a pipeline is made

# Batches made ahead of the train step. One thread is enough for small images
# and leaves the cores to XLA; to decode large images, set `threads` or
# `workers`.
_PREFETCH = 4


def make_train_iterator(
  source: sources.Source,
  *,
  batch_size: int,
  seed: int,
  augment: Any = (),
  mean: Sequence[float] | None = None,
  std: Sequence[float] | None = None,
  num_epochs: int | None = None,
  process_index: int | None = None,
  process_count: int | None = None,
  threads: int = 1,
  workers: int = 0,
) -> "grain.DatasetIterator":
  """Shuffled, augmented, normalised batches, endless by default.

  Every epoch has its own order and drops its own remainder. All random draws
  depend only on (seed, step, process), so that after `set_state` the iterator
  continues as if it had never stopped. Step t reads the same examples for any
  number of processes.

  Args:
    source: images or texts.
    batch_size: of all processes together.
    seed: of order and augmentation; 0 <= seed < 2**32.
    augment: for images, see `augment.parse`: `("pad_crop(2)", "flip")`.
    mean: per channel, of pixels in [0, 1]; by default the data set's own.
    std: per channel, as `mean`.
    num_epochs: None repeats forever.
    process_index: by default `jax.process_index()`.
    process_count: by default `jax.process_count()`.
    threads: threads that make batches ahead; 0 makes them on demand.
    workers: processes that make batches (spawned, so the calling script needs
      `if __name__ == "__main__":`); 0 makes them in this process. A saved
      position is valid for the same number of workers only.

  Returns:
    An iterator with `get_state()` (JSON-able) and `set_state(state)`, which
    `grain.checkpoint.CheckpointSave` and `CheckpointRestore` save with Orbax.
    The state depends only on the number of batches taken and on `workers`. Call
    `close()` at the end to stop threads and workers.

  Raises:
    ValueError: the batch does not fit the source or the processes, images are
      not uint8 `[H, W, C]`, tokens not int32 `[T]`, labels outside the classes,
      augmentations unknown or given for text. Tokens, and labels that are not
      known without the inputs, are checked in every batch.
  """
  import grain

  if not 0 <= seed < 2**32:
    raise ValueError(f"`seed` must be in [0, 2**32), got {seed}.")
  index, count = _processes(process_index, process_count)
  local = local_batch_size(batch_size, count)
  steps = steps_per_epoch(source, batch_size)
  normalise = normalisation.normaliser(source.info, mean, std)
  make_batch = batch.TrainBatch(source, augment_lib.parse(augment), normalise)
  input_shape(source, make_batch.augments)  # raises for bad inputs
  checks.source(source)
  positions = (
    grain.MapDataset.range(len(source))
    .shuffle(seed=seed)
    .slice(slice(index, steps * batch_size, count))
    .batch(local, drop_remainder=True)
    .repeat(num_epochs)
  )
  # grain draws per (seed, step), so the seed contains the process.
  rng_seed = np.random.SeedSequence((seed, index)).generate_state(1)[0]
  batches = positions.random_map(make_batch, seed=int(rng_seed))
  iterable = batches.to_iter_dataset(_read_options(threads))
  if workers:
    return workers_lib.iterate(iterable, workers, _PREFETCH)
  return iter(iterable)


def make_eval_batches(
  source: sources.Source,
  *,
  batch_size: int,
  augment: Any = (),
  mean: Sequence[float] | None = None,
  std: Sequence[float] | None = None,
  process_index: int | None = None,
  process_count: int | None = None,
  threads: int = 1,
) -> "EvalBatches":
  """Every example exactly once, in order, in batches of one static shape.

  The last batch is padded with copies of the first example, with `mask` 0: a
  real example, since a metric times 0 must not be NaN. All processes get the
  same number of batches.

  Args:
    source: images or texts.
    batch_size: of all processes together.
    augment: deterministic, such as `("resize(256)", "center_crop(224)")`.
    mean: as in `make_train_iterator`.
    std: as in `make_train_iterator`.
    process_index: by default `jax.process_index()`.
    process_count: by default `jax.process_count()`.
    threads: threads that make batches ahead.

  Returns:
    An iterable with a length, to iterate over once per evaluation.

  Raises:
    ValueError: as `make_train_iterator`.

  Warns:
    UserWarning: an augmentation is random.
  """
  index, count = _processes(process_index, process_count)
  augments = augment_lib.parse(augment)
  local_batch_size(batch_size, count)
  normalise = normalisation.normaliser(source.info, mean, std)
  input_shape(source, augments)
  checks.source(source)
  _warn_of_draws(source, augments)
  make_batch = batch.EvalBatch(
    source, augments, normalise, batch_size, slice(index, None, count)
  )
  return EvalBatches(make_batch, -(-len(source) // batch_size), threads)


@dataclasses.dataclass(frozen=True)
class EvalBatches:
  """Batches of one pass over a source; see `make_eval_batches`."""

  make_batch: batch.EvalBatch
  num_batches: int
  threads: int

  def __len__(self) -> int:
    return self.num_batches

  def __iter__(self) -> Iterator[batch.Batch]:
    import grain

    numbers = grain.MapDataset.range(self.num_batches).map(self.make_batch)
    batches = iter(numbers.to_iter_dataset(_read_options(self.threads)))
    try:
      yield from batches
    finally:  # no thread survives an error, a signal or an early end
      batches.close()


def steps_per_epoch(source: sources.Source, batch_size: int) -> int:
  """Number of full batches in one pass over `source`.

  Raises:
    ValueError: the source is smaller than one batch.
  """
  steps = len(source) // batch_size
  if not steps:
    raise ValueError(
      f"The batch size {batch_size} is larger than the {len(source)} examples"
      f" of {source.info.name!r}: no full batch."
    )
  return steps


def local_batch_size(batch_size: int, process_count: int) -> int:
  """Number of examples of a global batch that one process reads.

  Raises:
    ValueError: the processes cannot share the batch equally.
  """
  if batch_size < 1 or batch_size % process_count:
    raise ValueError(
      f"The batch size {batch_size} must be a positive multiple of the"
      f" {process_count} process(es): it is that of all processes together."
    )
  return batch_size // process_count


def input_shape(source: sources.Source, augment: Any = ()) -> tuple[int, ...]:
  """Shape of an augmented input: `(H, W, C)` of images, `(T,)` of text.

  Raises:
    ValueError: images are not uint8 `[H, W, C]`, or texts not int32 `[T]`, of
      the shape in the info, or an augmentation does not fit them.
  """
  info = source.info
  key, plural, dtype, axes = info.kind
  first = np.asarray(source[0][key])
  named = ", ".join(axes)
  if first.dtype != dtype or first.ndim != len(axes):
    raise ValueError(
      f"{plural.capitalize()} must be {dtype.__name__} ({named}):"
      f" {info.name!r} gives {first.dtype} {first.shape}."
    )
  if any(e not in (None, got) for e, got in zip(info.shape, first.shape)):
    raise ValueError(
      f"{info.name!r} gives {plural} of shape {first.shape}, but says that they"
      f" are {info.shape} ({named})."
    )
  augments = augment_lib.parse(augment)
  if info.kind is sources.TEXT:
    if augments:
      raise ValueError(
        f"Augmentations are of images, but {info.name!r} holds text: leave"
        f" `augment` empty, got {augment!r}."
      )
    if not 0 <= first.min() <= first.max() < info.vocab:
      raise ValueError(
        f"{info.name!r} gives tokens {first.min()} .. {first.max()}, but says"
        f" that its vocabulary has {info.vocab} entries, from 0."
      )
  rng = np.random.default_rng(0)
  return augment_lib.apply(augments, first[None], rng).shape[1:]


def _warn_of_draws(source: sources.Source, augments: Any) -> None:
  rng = np.random.default_rng(0)
  before = rng.bit_generator.state
  if augments:
    augment_lib.apply(augments, source.read([0])[source.info.kind.key], rng)
  if rng.bit_generator.state != before:
    warnings.warn(
      f"The evaluation of {source.info.name!r} has an augmentation that draws"
      " at random, and so has its result: use 'resize(...)' and"
      " 'center_crop(...)' only.",
      stacklevel=3,
    )


def _processes(index: int | None, count: int | None) -> tuple[int, int]:
  if index is None or count is None:
    import jax

    index = jax.process_index() if index is None else index
    count = jax.process_count() if count is None else count
  if not 0 <= index < count:
    raise ValueError(f"Process {index} of {count}: not in 0 .. {count - 1}.")
  return index, count


def _read_options(threads: int) -> "grain.ReadOptions":
  import grain

  ahead = max(_PREFETCH, threads) if threads else 0
  return grain.ReadOptions(num_threads=threads, prefetch_buffer_size=ahead)
