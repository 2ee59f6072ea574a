"""Learnable random images and texts, for smoke runs and tests."""

import dataclasses
import math
from typing import Any

import numpy as np

from bnnjax.core import registry
from bnnjax.data import digest, lm_tokenizers, sources, windows, wordpiece

SUCCESSORS = 4  # of a token of `fake_tokens`
_FIRST_LETTER = 0x100  # of its alphabet: Latin Extended and on
_SPLITS = ("train", "test")
_MOST = 2**28  # values generated at once
_LETTERS = 0xD800 - _FIRST_LETTER  # up to the surrogates, which are not text


def _described(
  split: str, size: int, num_classes: int, name: str, **info: Any
) -> sources.DatasetInfo:
  """Description of a labelled set, without generating examples."""
  sources.check_split(name, split, _SPLITS)
  if size < 1 or num_classes < 2:
    raise ValueError(
      "A fake data set needs at least 1 example and 2 classes: got"
      f" size={size}, num_classes={num_classes}."
    )
  splits = dict.fromkeys(_SPLITS, size)
  return sources.DatasetInfo(
    name=name, num_classes=num_classes, splits=splits, **info
  )


def _check(seed: int, **counts: int) -> None:
  """Raises if the seed is negative or the product of sizes is too large.

  Raises:
    ValueError: names the options.
  """
  if not isinstance(seed, int) or seed < 0:
    raise ValueError(f"`seed` must be an int of 0 or above: got {seed!r}.")
  if math.prod(counts.values()) > _MOST:
    raise ValueError(
      f"{' times '.join(f'`{name}`' for name in counts)} of a fake data set"
      f" must be at most {_MOST}: got"
      f" {' x '.join(map(str, counts.values()))}."
    )


class FakeSource(sources.Source):
  """Examples generated on demand from (seed, split, index), classes in turn.

  A subclass draws an input of a class. The features of a class depend on the
  seed alone, so that both splits share them.
  """

  def __init__(self, split: str, seed: int, info: sources.DatasetInfo):
    self.info = info
    self._size = info.splits[split]
    self._seed = seed, _SPLITS.index(split)

  def draw(self, label: int, rng: np.random.Generator) -> np.ndarray:
    """Draws an input of a class."""
    raise NotImplementedError

  def __len__(self) -> int:
    return self._size

  def __getitem__(self, index: int) -> sources.Example:
    index = range(self._size)[index]  # IndexError, and -1 is the last one
    label = index % self.info.num_classes
    rng = np.random.default_rng((*self._seed, index))
    return {self.info.kind.key: self.draw(label, rng), "label": label}

  def digest(self):
    return digest.of(
      type(self).__name__, self._size, self._seed, dataclasses.asdict(self.info)
    )


class FakeImages(FakeSource):
  """Class patterns under noise.

  Pixel = 128 + 40 * (pattern of the class, +-1) + uniform noise in [-64, 64).
  The patterns are blocks of 4x4 pixels, so that convolutions and padded crops
  can learn them.
  """

  def __init__(self, split: str, seed: int, info: sources.DatasetInfo):
    super().__init__(split, seed, info)
    height, width, channels = info.shape
    _check(seed, num_classes=info.num_classes, shape=math.prod(info.shape))
    coarse = -(-height // 4), -(-width // 4), channels
    signs = np.random.default_rng(seed).choice(
      (-1, 1), (self.info.num_classes, *coarse)
    )
    blocks = signs.repeat(4, axis=1).repeat(4, axis=2)[:, :height, :width]
    self._patterns = (128 + 40 * blocks).astype(np.int16)

  def draw(self, label, rng):
    noise = rng.integers(-64, 64, self.info.shape, np.int16)
    return (self._patterns[label] + noise).astype(np.uint8)


class FakeText(FakeSource):
  """Texts of T / 2 to T tokens that begin with `[CLS]`.

  About half of the tokens are drawn from the `FAVOURITES` tokens of the class,
  the others from all that are not special.
  """

  FAVOURITES = 4

  def __init__(self, split: str, seed: int, info: sources.DatasetInfo):
    super().__init__(split, seed, info)
    _check(seed, num_classes=info.num_classes, max_len=info.shape[0])
    self._favourites = np.random.default_rng(seed).integers(
      len(wordpiece.SPECIAL),
      self.info.vocab,
      (self.info.num_classes, self.FAVOURITES),
    )

  def draw(self, label, rng):
    (longest,) = self.info.shape
    length = rng.integers(longest // 2, longest) + 1
    own = rng.choice(self._favourites[label], length)
    other = rng.integers(len(wordpiece.SPECIAL), self.info.vocab, length)
    tokens = np.full(longest, wordpiece.PAD, np.int32)
    tokens[:length] = np.where(rng.random(length) < 0.5, own, other)
    tokens[0] = wordpiece.SPECIAL.index("[CLS]")
    return tokens


def _image_info(
  split: str,
  *,
  shape: tuple[int, int, int],
  num_classes: int,
  size: int,
  seed: int = 0,
) -> sources.DatasetInfo:
  del seed
  shape = tuple(shape)
  whole = all(isinstance(n, int) and n >= 1 for n in shape)
  if len(shape) != 3 or not whole:
    raise ValueError(f"`shape` must be (height, width, channels): got {shape}.")
  return _described(
    split,
    size,
    num_classes,
    "fake",
    shape=shape,
    mean=(0.5,) * shape[2],
    std=(0.25,) * shape[2],
  )


@registry.register("source", "fake")
@sources.with_info(_image_info)
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
    num_classes: number of classes; they take turns, so they are balanced.
    size: number of examples of the split.
    seed: of the patterns of the classes and of the noise.
  """
  info = _image_info(split, shape=shape, num_classes=num_classes, size=size)
  return FakeImages(split, seed, info)


def _text_info(
  split: str,
  *,
  max_len: int,
  vocab: int,
  num_classes: int,
  size: int,
  seed: int = 0,
) -> sources.DatasetInfo:
  del seed
  special = len(wordpiece.SPECIAL)
  if max_len < 2 or vocab <= special:
    raise ValueError(
      "A fake text needs at least 2 tokens, and more entries than the"
      f" {special} special ones: got max_len={max_len}, vocab={vocab}."
    )
  return _described(
    split, size, num_classes, "fake_text", shape=(max_len,), vocab=vocab
  )


@registry.register("source", "fake_text")
@sources.with_info(_text_info)
def fake_text(
  split: str,
  *,
  max_len: int = 16,
  vocab: int = 128,
  num_classes: int = 10,
  size: int = 512,
  seed: int = 0,
) -> sources.Source:
  """Learnable fake texts; each class prefers some tokens.

  Args:
    split: "train" or "test".
    max_len: tokens of a text.
    vocab: entries of the vocabulary, including the special ones.
    num_classes: number of classes; they take turns, so they are balanced.
    size: number of examples of the split.
    seed: of the preferred tokens and of the texts.
  """
  info = _text_info(
    split, max_len=max_len, vocab=vocab, num_classes=num_classes, size=size
  )
  return FakeText(split, seed, info)


def _tokens_info(
  split: str,
  *,
  max_len: int,
  vocab: int,
  size: int,
  seed: int = 0,
) -> sources.DatasetInfo:
  del seed
  sources.check_split("fake_tokens", split, _SPLITS)
  if max_len < 2 or vocab < 3 or size < 1:
    raise ValueError(
      "A fake text needs windows of at least 2 tokens, 3 entries and 1 example:"
      f" got max_len={max_len}, vocab={vocab}, size={size}."
    )
  if vocab > _LETTERS:
    raise ValueError(f"`vocab` must be at most {_LETTERS}: got {vocab}.")
  return sources.DatasetInfo(
    name="fake_tokens",
    shape=(max_len,),
    num_classes=0,
    vocab=vocab,
    splits=dict.fromkeys(_SPLITS, size),
  )


@registry.register("source", "fake_tokens")
@sources.with_info(_tokens_info)
def fake_tokens(
  split: str,
  *,
  max_len: int = 16,
  vocab: int = 32,
  size: int = 512,
  seed: int = 0,
) -> sources.Source:
  """A learnable fake text for language models.

  A Markov chain of order 1 in which each token has `SUCCESSORS` successors: at
  most 2 bits per character.

  Args:
    split: "train" or "test".
    max_len: tokens of a window.
    vocab: entries of the vocabulary; 0, the unknown character, never occurs.
    size: number of windows of the split.
    seed: of the successors and of the text.
  """
  info = _tokens_info(split, max_len=max_len, vocab=vocab, size=size)
  _check(seed, size=size, max_len=max_len)
  after = np.random.default_rng(seed).integers(1, vocab, (vocab, SUCCESSORS))
  rng = np.random.default_rng((seed, _SPLITS.index(split)))
  ids, table = [1], after.tolist()
  for choice in rng.integers(0, SUCCESSORS, size * (max_len - 1)).tolist():
    ids.append(table[ids[-1]][choice])
  letters = "".join(chr(_FIRST_LETTER + i) for i in range(vocab - 1))
  return windows.Windows(np.array(ids), lm_tokenizers.Chars(letters), info)
