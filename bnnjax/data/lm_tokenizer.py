"""Text to tokens and back for language models.

  tokenizer = lm_tokenizer.of("bpe")
  ids = tokenizer.encode("To be, or not to be")  # int32 [N]
  tokenizer.chars(ids).sum()  # 19: bits per character need it

No character is lost, but for those that `Chars` has not seen. Unlike
`tokenizer`, which lower-cases texts and cuts them to one length.
"""

import itertools
import json
import pathlib
import re
from collections.abc import Callable, Sequence

import numpy as np

from bnnjax.core import registry
from bnnjax.data import sources

NAMES = ("bpe", "bytes", "chars")
BPE_FILE = pathlib.Path(__file__).parent / "embedded" / "plays_mini.bpe.json"
UNKNOWN = 0  # of `chars`
_CUT = re.compile(r"(?<=\S\n)(?=\S)")
# What a tokenizer must give back as it was.
_SAMPLE = "Ab  ée\u0301\n\n don't 12 \t…"


class LmTokenizer:
  """A vocabulary whose every token stands for bytes of UTF-8.

  Args:
    pieces: the bytes of every token.
  """

  def __init__(self, pieces: Sequence[bytes]):
    self.pieces = tuple(pieces)
    self._lengths = np.array([len(piece) for piece in pieces])

  def __len__(self) -> int:
    return len(self.pieces)

  def encode(self, text: str) -> np.ndarray:
    """Tokens of a text, int32 `[N]`."""
    raise NotImplementedError

  def decode(self, ids: Sequence[int]) -> str:
    """Text of tokens; U+FFFD for bytes that are no character."""
    return self._bytes(ids).decode(errors="replace")

  def chars(self, ids: Sequence[int]) -> np.ndarray:
    """Characters that each token completes, int32 `[N]`.

    A character of several tokens counts at the last of them, so that the sum
    is the length of the text.

    Example:
      >>> Bytes().chars([0x41, 0xC3, 0xA9]).tolist()  # A, two bytes of é
      [1, 0, 1]
    """
    data = np.frombuffer(self._bytes(ids), np.uint8)
    # 10xxxxxx goes on with a character; a byte before any other ends one.
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
  """The characters of a text, from 1 in the order of Unicode; 0 is any other.

  Args:
    text: what the vocabulary is taken from, the training split.
  """

  def __init__(self, text: str):
    letters = sorted(set(text))
    super().__init__([letter.encode() for letter in ("\ufffd", *letters)])
    # The last is no character's: then every search ends inside.
    self._codes = np.append(_codes("".join(letters)), np.uint32(2**32 - 1))

  def encode(self, text):
    codes = _codes(text)
    places = np.searchsorted(self._codes, codes)
    known = self._codes[places] == codes
    return np.where(known, places + 1, UNKNOWN).astype(np.int32)


class Bpe(LmTokenizer):
  """Byte-level byte-pair encoding (Sennrich et al. 2016; GPT-2's alphabet).

  A text is encoded in pieces, cut where no token could go on (after a single
  line end between two words): memory then stays small. Unicode's normal form C
  of published vocabularies is left out, no character must change.

  Args:
    path: a `tokenizer.json` of the `tokenizers` library.

  Raises:
    DataNotFoundError: no such file.
    ValueError: another kind of file, or of tokenizer.
  """

  def __init__(self, path: str | pathlib.Path):
    import tokenizers  # 0.1 s: only when used

    path = pathlib.Path(path).expanduser()
    if not path.is_file():
      raise sources.DataNotFoundError(
        f"No vocabulary {path}: a JSON file as `lm_tokenizer.train_bpe` makes."
      )
    try:
      self._encoder = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no narrower one
      raise ValueError(f"{path} is no tokenizer: {error}.") from error
    if isinstance(self._encoder.normalizer, tokenizers.normalizers.NFC):
      self._encoder.normalizer = None
    try:
      super().__init__(_pieces(self._encoder))
      kept = self.decode(self.encode(_SAMPLE)) == _SAMPLE
    except KeyError:
      kept = False
    if not kept:
      raise ValueError(
        f"{path} does not give a text back as it was: it must be a byte-level"
        " BPE without normalizer or prefix, as `lm_tokenizer.train_bpe` makes."
      )

  def encode(self, text):
    encoded = self._encoder.encode_batch_fast(
      _CUT.split(text), add_special_tokens=False
    )
    ids = itertools.chain.from_iterable(line.ids for line in encoded)
    return np.fromiter(ids, np.int32)


def of(
  name: str, train_text: Callable[[], str] = str, vocab_file: str = ""
) -> LmTokenizer:
  """A tokenizer by name.

  Args:
    name: "chars", "bytes" or "bpe".
    train_text: makes the text that `chars` takes its vocabulary from.
    vocab_file: of `bpe`; by default the embedded one, 1,024 entries for the
      training split of `plays_mini`.

  Raises:
    ValueError: unknown name (the nearest is suggested), or a file for one that
      has none.
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
  return Chars(train_text()) if name == "chars" else Bpe(vocab_file or BPE_FILE)


def train_bpe(text: str, size: int) -> str:
  """The byte-level BPE of `size` entries that suits a text.

  Returns:
    JSON, the same for the same text; written to a file it is a `vocab_file`.

  Raises:
    ValueError: fewer entries than bytes.
  """
  import tokenizers

  if size < 256:
    raise ValueError(f"`size` must be at least 256, the bytes: got {size}.")
  level = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
  # No token goes over a line's end: spaces before it belong to it.
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


def _pieces(encoder: "tokenizers.Tokenizer") -> list[bytes]:  # noqa: F821
  """Bytes of every entry; `KeyError` where one is not of the byte alphabet."""
  # GPT-2 writes printable Latin-1 as it is, and the other bytes from U+0100.
  shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
  hidden = [byte for byte in range(256) if byte not in shown]
  table = {chr(byte): byte for byte in shown}
  table |= {chr(0x100 + i): byte for i, byte in enumerate(hidden)}
  added = {
    token: entry.content.encode()
    for token, entry in encoder.get_added_tokens_decoder().items()
  }
  # A published vocabulary may leave numbers out.
  entries = {token: entry for entry, token in encoder.get_vocab().items()}
  return [
    added[token]
    if token in added
    else bytes(table[letter] for letter in entries.get(token, ""))
    for token in range(max(entries) + 1)
  ]
