"""Text to tokens: lower-cased WordPiece (BERT, Devlin et al. 2019).

  tokenizer = Tokenizer.from_file("vocab.txt", max_len=32)
  tokens = tokenizer.encode(["one text", ("a pair", "of texts")])  # [2, 32]

A vocabulary is a list of entries, one a line in its file; an entry's line is
its token. The published `vocab.txt` of BERT are such files.
"""

import pathlib
from collections.abc import Sequence

import numpy as np

from bnnjax.data import sources

PAD = 0  # models take it for the end of a text
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SHORTEST = 5  # [CLS] a [SEP] b [SEP]

Text = str | tuple[str, str]


class Tokenizer:
  """Encodes texts and pairs of texts to one length.

  `[CLS] text [SEP]`, or `[CLS] first [SEP] second [SEP]`, cut (of a pair, the
  longer first) or filled up with `[PAD]` to `max_len`.

  Args:
    entries: the vocabulary.
    max_len: tokens of every encoded text.

  Raises:
    ValueError: a vocabulary that does not begin with [PAD], lacks another
      special entry or has one twice; a `max_len` without room for a pair.
  """

  def __init__(self, entries: Sequence[str], max_len: int):
    import tokenizers  # 0.1 s: only when used

    _check(entries, max_len)
    table = {entry: token for token, entry in enumerate(entries)}
    unknown, cls, sep = SPECIAL[1:4]
    self.entries, self.max_len = tuple(entries), max_len
    self._encoder = tokenizers.Tokenizer(
      tokenizers.models.WordPiece(table, unk_token=unknown)
    )
    _split_as_bert(self._encoder)
    self._encoder.post_processor = tokenizers.processors.BertProcessing(
      (sep, table[sep]), (cls, table[cls])
    )
    self._encoder.enable_truncation(max_len)
    self._encoder.enable_padding(
      length=max_len, pad_id=PAD, pad_token=SPECIAL[PAD]
    )

  @classmethod
  def from_file(cls, path: str | pathlib.Path, max_len: int) -> "Tokenizer":
    """Reads a vocabulary file.

    Raises:
      DataNotFoundError: no such file.
      ValueError: as the constructor, of that file.
    """
    path = pathlib.Path(path).expanduser()
    if not path.is_file():
      raise sources.DataNotFoundError(
        f"No vocabulary {path}: a text file with one entry a line, [PAD] first."
      )
    entries = path.read_text(encoding="utf-8").splitlines()
    try:
      return cls(entries, max_len)
    except ValueError as error:
      raise ValueError(f"{path}: {error}") from error

  def __len__(self) -> int:
    return len(self.entries)

  def encode(self, texts: Sequence[Text]) -> np.ndarray:
    """Tokens of every text or pair, int32 `[N, T]`."""
    encoded = self._encoder.encode_batch(list(texts))
    ids = [encoding.ids for encoding in encoded]
    return np.array(ids, np.int32).reshape(-1, self.max_len)


def train(texts: Sequence[str], size: int) -> list[str]:
  """The vocabulary of at most `size` entries that suits a corpus."""
  import tokenizers

  encoder = tokenizers.Tokenizer(tokenizers.models.WordPiece())
  _split_as_bert(encoder)
  normal = map(encoder.normalizer.normalize_str, texts)
  letters = sorted(set().union(*normal) - {" "})
  # All named in advance: the trainer would number them in the order of a hash
  # table that differs from run to run, and break ties by these numbers.
  first = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
  trainer = tokenizers.trainers.WordPieceTrainer(
    vocab_size=size, special_tokens=first, show_progress=False
  )
  encoder.train_from_iterator(texts, trainer)
  table = encoder.get_vocab()
  return sorted(table, key=table.get)


def _split_as_bert(encoder: "tokenizers.Tokenizer") -> None:  # noqa: F821
  """Lower case without accents, words and punctuation apart."""
  import tokenizers

  encoder.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
  encoder.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()


def _check(entries: Sequence[str], max_len: int) -> None:
  if not entries or entries[PAD] != SPECIAL[PAD]:
    raise ValueError(
      f"A vocabulary begins with {SPECIAL[PAD]}: got"
      f" {entries[PAD] if entries else 'no entry'}."
    )
  missing = [entry for entry in SPECIAL if entry not in entries]
  if missing:
    raise ValueError(f"The vocabulary lacks {', '.join(missing)}.")
  if len(set(entries)) != len(entries):
    twice = next(e for i, e in enumerate(entries) if e in entries[:i])
    raise ValueError(f"The vocabulary has {twice!r} twice.")
  if max_len < SHORTEST:
    raise ValueError(
      f"`max_len` must be at least {SHORTEST}, [CLS] a [SEP] b [SEP]: got"
      f" {max_len}."
    )
