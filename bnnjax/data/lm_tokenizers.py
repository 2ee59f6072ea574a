"""Tokenizers for language models: characters, bytes, `tokenizer.json`.

  tokenizer = lm_tokenizers.make_tokenizer("bpe")
  ids = tokenizer.encode("To be, or not to be")  # int32 [N]
  ids, chars = tokenizer.align("To be, or not to be")
  chars.sum()  # 19: bits per character divide by it

Texts of any length are encoded whole; `wordpiece` cuts them to one length.
"""

import itertools
import json
import pathlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from bnnjax.core import registry
from bnnjax.data import digest, embedded, incremental_decoders, tokenizer_json

NAMES = ("bpe", "bytes", "chars")
UNKNOWN = 0  # the unknown token of "chars"
_CUT = re.compile(r"(?<=\S\n)(?=\S)")
AT_ONCE = 16  # parts of a text that the library encodes in parallel


class LmTokenizer:
  """A vocabulary whose every token stands for bytes of UTF-8.

  Attributes:
    lossless: whether decoding restores every text exactly.
    unknown: the token for everything outside the vocabulary, if there is one.
    ends: tokens that mark the end of a text.

  Args:
    pieces: the bytes of every token.
  """

  lossless = True
  unknown: int | None = None
  ends: tuple[int, ...] = ()

  def __init__(self, pieces: Sequence[bytes]):
    self.pieces = tuple(pieces)
    self._lengths = np.array([len(piece) for piece in pieces])

  def __len__(self) -> int:
    return len(self.pieces)

  def digest(self) -> str:
    """Digest of the meaning of every token, wherever its file is."""
    entries = [piece.hex() for piece in self.pieces]
    return digest.of(entries, self.lossless, self.unknown)

  def encode(self, text: str) -> np.ndarray:
    """Tokens of a text, int32 `[N]`."""
    raise NotImplementedError

  def align(self, text: str) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of a text, and how many of its characters each completes, `[N]`.

    The numbers sum to the length of the original text, whatever the normalizer
    does to it: bits per character divide by them.
    """
    ids = self.encode(text)
    return ids, self.chars(ids)

  def decode(self, ids: Sequence[int]) -> str:
    """Text of tokens, with U+FFFD for invalid bytes."""
    return self._bytes(ids).decode(errors="replace")

  def stream(
    self, prompt: Sequence[int] = ()
  ) -> incremental_decoders.ByteStream | incremental_decoders.TextStream:
    """Decodes tokens one by one, after those of a prompt."""
    return incremental_decoders.ByteStream(
      self.pieces, np.asarray(prompt, int).tolist()
    )

  def chars(self, ids: Sequence[int]) -> np.ndarray:
    """Number of characters of `decode(ids)` that each token completes, `[N]`.

    A character of several tokens counts for the last of them.

    Example:
      >>> Bytes().chars([0x41, 0xC3, 0xA9]).tolist()  # A, two bytes of é
      [1, 0, 1]
    """
    data = np.frombuffer(self._bytes(ids), np.uint8)
    # 10xxxxxx continues a character; a byte ends one if the next does not.
    begins = (data & 0xC0) != 0x80
    ends = np.append(begins[1:], True)[: len(data)]
    before = np.concatenate(([0], np.cumsum(ends)))
    stops = np.cumsum(self._lengths[np.asarray(ids, np.int32)])
    return np.diff(before[stops], prepend=0).astype(np.int32)

  def _bytes(self, ids: Sequence[int]) -> bytes:
    return b"".join(map(self.pieces.__getitem__, np.asarray(ids).tolist()))


class Bytes(LmTokenizer):
  """The 256 bytes of UTF-8."""

  def __init__(self):
    super().__init__([bytes([byte]) for byte in range(256)])

  def encode(self, text):
    return np.frombuffer(text.encode(), np.uint8).astype(np.int32)


class Chars(LmTokenizer):
  """The characters of a text, numbered from 1 by code point; 0 is any other.

  Args:
    text: source of the vocabulary, the training split.
  """

  lossless, unknown = False, UNKNOWN

  def __init__(self, text: str):
    letters = sorted(set(text))
    super().__init__([letter.encode() for letter in ("\ufffd", *letters)])
    # A sentinel above all characters keeps every search inside the array.
    self._codes = np.append(_codes("".join(letters)), np.uint32(2**32 - 1))

  def encode(self, text):
    codes = _codes(text)
    places = np.searchsorted(self._codes, codes)
    known = self._codes[places] == codes
    return np.where(known, places + 1, UNKNOWN).astype(np.int32)


class Bpe(LmTokenizer):
  """Any tokenizer of the `tokenizers` library, from its `tokenizer.json`.

  Byte-level BPE (Sennrich et al. 2016, with GPT-2's alphabet), and tokenizers
  with a decoder of their own, such as SentencePiece's (Metaspace) and
  WordPiece.

  Tokens are those of the library for the whole text, without the file's
  post-processor. A long text is encoded in parts if that gives the same tokens.

  Args:
    path: the file.

  Raises:
    DataNotFoundError, ValueError: as `tokenizer_json.read`, and it warns.
  """

  def __init__(self, path: str | pathlib.Path):
    self._file = pathlib.Path(path).expanduser()
    self._encoder, spec = tokenizer_json.read(self._file)
    super().__init__(tokenizer_json.pieces(self._encoder))
    self.lossless = tokenizer_json.is_lossless(self._encoder, spec)
    self.unknown = tokenizer_json.unknown(self._encoder, spec)
    self.ends = tokenizer_json.ends(spec)
    self._bytewise = tokenizer_json.is_bytewise(spec)
    self._late = tokenizer_json.late(self._encoder, spec)
    self._in_parts = tokenizer_json.has_word_line_ends(spec)

  def encode(self, text):
    found = [
      np.array(encoding.ids, np.int32)
      for part in self._parts(text)
      for encoding in self._batch(self._encoder.encode_batch_fast, part)
    ]
    return np.concatenate(found)

  def align(self, text):
    if self.lossless:
      return super().align(text)
    ids, starts, before = (
      [],
      [],
      0,
    )  # of arrays: lists of ints take ten times the memory
    for part in self._parts(text):
      encodings = self._batch(self._encoder.encode_batch, part)
      for line, encoding in zip(part, encodings):
        ids.append(np.array(encoding.ids, np.int32))
        first = (start for start, _ in encoding.offsets)
        starts.append(before + np.fromiter(first, np.int64, len(encoding)))
        before += len(line)
    # A character of several tokens begins at each of them. Characters without a
    # token, such as spaces, count for the token before.
    ids, starts = np.concatenate(ids), np.concatenate(starts)
    stops = np.append(starts[1:], len(text))[: len(ids)]
    stops = np.minimum.accumulate(stops[::-1])[::-1]
    return ids, np.diff(stops, prepend=0).astype(np.int32)

  def decode(self, ids):
    if self._bytewise:
      return super().decode(ids)
    if not len(ids):
      return ""
    with tokenizer_json.errors(str(self._file)):
      return self._encoder.decode(
        np.asarray(ids, int).tolist(), skip_special_tokens=False
      )

  def stream(self, prompt=()):
    if self._bytewise:
      return super().stream(prompt)
    return incremental_decoders.TextStream(
      self.decode, self._late, np.asarray(prompt, int).tolist()
    )

  def chars(self, ids):
    if self._bytewise:
      return super().chars(ids)
    stream = self.stream()
    found = [len(stream.push(int(token))) for token in ids]
    if found:
      found[-1] += len(stream.end())
    return np.array(found, np.int32)

  def _batch(self, encode, part: list[str]) -> Any:
    # The regular expressions of a file panic after 10 million steps.
    with tokenizer_json.errors(str(self._file)):
      return encode(part, add_special_tokens=False)

  def _parts(self, text: str) -> Iterator[list[str]]:
    parts = tokenizer_json.in_parts(text) if self._in_parts else iter([text])
    while some := list(itertools.islice(parts, AT_ONCE)):
      yield some


def make_tokenizer(
  name: str, train_text: Callable[[], str] = str, vocab_file: str = ""
) -> LmTokenizer:
  """Makes a tokenizer by name.

  Args:
    name: "chars", "bytes" or "bpe".
    train_text: returns the text that gives "chars" its vocabulary.
    vocab_file: of "bpe", any `tokenizer.json`; by default the embedded one,
      1,024 entries for the training split of `plays_mini`.

  Raises:
    ValueError: unknown name (the message suggests the nearest), or a file for a
      tokenizer that has none.
  """
  if name not in NAMES:
    raise registry.unknown("tokenizer", name, NAMES)
  if vocab_file and name != "bpe":
    raise ValueError(
      f"The tokenizer {name!r} has no file: got vocab_file={vocab_file!r}. Set"
      ' `tokenizer="bpe"`.'
    )
  if name == "bytes":
    return Bytes()
  if name == "chars":
    return Chars(_letters(train_text()))
  return Bpe(vocab_file or embedded.PLAYS_BPE)


_LETTERS: dict[str, str] = {}  # characters of texts, by their digests


def _letters(text: str) -> str:
  """Each character of a text once; cached for all splits."""
  key = digest.of(text.encode())
  _LETTERS[key] = _LETTERS.get(key) or "".join(sorted(set(text)))
  return _LETTERS[key]


def train_bpe(text: str, size: int) -> str:
  """Trains a byte-level BPE of `size` entries on a text.

  Returns:
    JSON, reproducible; written to a file it is a `vocab_file`.

  Raises:
    ValueError: `size` below 256.
  """
  import tokenizers

  if size < 256:
    raise ValueError(f"`size` must be at least 256, the bytes: got {size}.")
  level = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
  # No token crosses a line end; spaces before it belong to it.
  lines = tokenizers.pre_tokenizers.Split("\n", "merged_with_previous")
  encoder = tokenizers.Tokenizer(tokenizers.models.BPE())
  encoder.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([lines, level])
  encoder.decoder = tokenizers.decoders.ByteLevel()
  trainer = tokenizers.trainers.BpeTrainer(
    vocab_size=size,
    initial_alphabet=sorted(level.alphabet()),
    show_progress=False,
  )
  encoder.train_from_iterator(_CUT.split(text), trainer)
  return json.dumps(json.loads(encoder.to_str()), ensure_ascii=False) + "\n"


def _codes(text: str) -> np.ndarray:
  return np.frombuffer(text.encode("utf-32-le"), np.uint32)
