"""One long text as windows of T tokens, for language models.

An example has `tokens` int32 `[T]`, `chars` int32 `[T]`, the number of
characters that each token completes, and `scored` bool `[T]`, False for tokens
that are only context. There is no label and no padding.
"""

import warnings
from collections.abc import Callable, Mapping

import numpy as np

from bnnjax import deprecated
from bnnjax.data import digest, lm_tokenizers, sources

TRAIN = "train"


class Windows(sources.Source):
  """Windows that overlap by `max(context, 1)` tokens.

  Every token but the very first is scored in exactly one window: not as the
  first of a window, which nothing predicts, and not if the window before has
  scored it. The last window is moved back to the end of the text.

  Example:
    8 tokens in windows of 5 with `context=2`: the first window is tokens 0 .. 4
    and scores 1 .. 4, the second is tokens 3 .. 7 and scores 5 .. 7.

  Args:
    ids: tokens of the text, int `[N]`, N >= T.
    tokenizer: of the tokens.
    info: description of the data set; its shape is `(T,)`.
    context: least number of tokens before a scored one, except in the first
      window; 0 <= context < T. A larger context needs more windows.
    chars: number of characters that each token completes, int `[N]`; by default
      for a lossless tokenizer, see `LmTokenizer.align`.
  """

  def __init__(
    self,
    ids: np.ndarray,
    tokenizer: lm_tokenizers.LmTokenizer,
    info: sources.DatasetInfo,
    context: int = 0,
    chars: np.ndarray | None = None,
  ):
    (self._length,) = info.shape
    self._stride = self._length - max(context, 1)
    self.info, self.tokenizer = info, tokenizer
    # The narrowest types: these arrays are all of a text that stays in memory.
    self._ids = ids.astype(np.min_scalar_type(len(tokenizer) - 1))
    chars = tokenizer.chars(ids) if chars is None else chars
    self._chars = chars.astype(np.min_scalar_type(chars.max()))

  def __len__(self) -> int:
    return count(len(self._ids), self._length, self._stride)

  def __getitem__(self, index: int) -> sources.Example:
    index = range(len(self))[index]  # IndexError, and -1 is the last one
    return {key: values[0] for key, values in self.read([index]).items()}

  def read(self, indices):
    index = np.asarray(indices)
    start = np.minimum(index * self._stride, len(self._ids) - self._length)
    done = (index - 1) * self._stride + self._length  # end of the window before
    first = np.where(index == 0, 1, done - start)
    inside = np.arange(self._length)
    places = start[:, None] + inside
    return {
      "tokens": self._ids[places].astype(np.int32),
      "chars": self._chars[places].astype(np.int32),
      "scored": inside >= first[:, None],
    }

  def digest(self):
    shape = self._length, self._stride
    return digest.of(shape, self.vocabulary(), self._ids, self._chars)

  def vocabulary(self):
    return self.tokenizer.digest()


def count(tokens: int, length: int, stride: int) -> int:
  """Number of windows that cover a text."""
  return 1 + -(-(tokens - length) // stride)


def pack(
  name: str,
  text: Callable[[str], str],
  split: str,
  *,
  max_len: int,
  tokenizer: str,
  vocab_file: str,
  context: int,
) -> Windows:
  """Encodes a split and cuts it into windows.

  Args:
    name: of the data set.
    text: function from the name of a split to its text.
    split: name of the split.
    max_len: tokens of a window, T.
    tokenizer: "chars" (those of the split "train"), "bytes" or "bpe".
    vocab_file: of "bpe", see `lm_tokenizers.make_tokenizer`.
    context: see `Windows`; the split "train" uses 0.

  Raises:
    ValueError: fewer than 2 tokens, a context that leaves nothing to score, a
      text shorter than a window, or as `lm_tokenizers.make_tokenizer`.

  Warns:
    UserWarning: the vocabulary lacks some characters of the text.
  """
  _check(max_len, context)
  own = text(split)
  encoder = lm_tokenizers.make_tokenizer(
    tokenizer, lambda: own if split == TRAIN else text(TRAIN), vocab_file
  )
  ids, chars = encoder.align(own)
  if len(ids) < max_len:
    raise ValueError(
      f"The split {split!r} of {name!r} has {len(ids)} tokens, less than one"
      f" window: give more text, or set `max_len` below {max_len}"
      " (`data.shape`)."
    )
  lacks = encoder.unknown is not None
  if lacks and (unknown := np.count_nonzero(ids == encoder.unknown)):
    warnings.warn(
      f"{unknown} of the {len(ids)} tokens of the split {split!r} of {name!r} are"
      " unknown: their content is not encoded, which makes bits per character"
      " too low. Choose a tokenizer that has them, such as 'bytes'.",
      stacklevel=2,
    )
  context = 0 if split == TRAIN else context
  windows = count(len(ids), max_len, max_len - max(context, 1))
  told = _described(name, max_len, len(encoder), {split: windows})
  return Windows(ids, encoder, told, context, chars)


def info(
  name: str,
  text: Callable[[str], str],
  *,
  max_len: int,
  tokenizer: str,
  vocab_file: str,
  context: int,
) -> sources.DatasetInfo:
  """Description of the windows that `pack` would make, without their number.

  The text is read for the tokenizer "chars" only.

  Args:
    name: this and all other arguments are as in `pack`.

  Raises:
    ValueError: as `pack`, for bad arguments.
  """
  _check(max_len, context)
  encoder = lm_tokenizers.make_tokenizer(
    tokenizer, lambda: text(TRAIN), vocab_file
  )
  return _described(name, max_len, len(encoder), {})


def _check(max_len: int, context: int) -> None:
  if max_len < 2:
    raise ValueError(
      f"`max_len` must be at least 2, one token to predict the next: got"
      f" {max_len}."
    )
  if not 0 <= context < max_len:
    raise ValueError(
      f"`context` must be in [0, {max_len}), a window's tokens less the one to"
      f" score: got {context}."
    )


def _described(
  name: str, max_len: int, vocab: int, splits: Mapping[str, int]
) -> sources.DatasetInfo:
  return sources.DatasetInfo(
    name=name, shape=(max_len,), num_classes=0, vocab=vocab, splits=splits
  )


__getattr__ = deprecated.old_names(
  __name__, {"tokenizer_of": "bnnjax.data.loading.tokenizer_of"}
)
