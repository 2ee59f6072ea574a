"""Text to tokens: WordPiece (BERT, Devlin et al. 2019), cased or uncased.

  tokenizer = Tokenizer.from_file("vocab.txt", max_len=32)
  tokens = tokenizer.encode(["one text", ("a pair", "of texts")])  # [2, 32]

A vocabulary is a list of entries, one per line of its file; the number of the
line is the token. The published `vocab.txt` of BERT are such files.
"""

import json
import pathlib
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from bnnjax.data import digest, sources, utf8

PAD = 0  # models read it as the end of a text
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SHORTEST = 5  # [CLS] a [SEP] b [SEP]
# File beside a published vocabulary, and the options of `Tokenizer` in it.
CONFIG = "tokenizer_config.json"
_OPTIONS = {
  "do_lower_case": "lowercase",
  "strip_accents": "strip_accents",
  "tokenize_chinese_chars": "chinese_chars",
}
_NO_WORD = re.compile(r"\[.+\]|<.+>")  # [CLS], [unused1], <S>

Text = str | tuple[str, str]


class Tokenizer:
  """Encodes texts and pairs of texts to one length.

  `[CLS] text [SEP]`, or `[CLS] first [SEP] second [SEP]`, is truncated (a pair
  at its longer text first) or padded with `[PAD]` to `max_len`. Tokens are
  those of `BertWordPieceTokenizer` of the `tokenizers` library: a special entry
  in a text is one token, and trailing spaces of an entry are ignored.

  Options that are not given follow from the entries, each of which must be
  reachable: an entry with a capital makes the vocabulary cased, and one with an
  accent keeps accents.

  Args:
    entries: the vocabulary.
    max_len: tokens of every encoded text.
    lowercase: whether to lower-case texts, for an uncased vocabulary.
    strip_accents: whether to remove accents, by default as `lowercase`.
    chinese_chars: whether each Chinese character is a word.

  Raises:
    ValueError: the vocabulary does not begin with [PAD], lacks another special
      entry or has one twice, or `max_len` has no room for a pair.

  Warns:
    UserWarning: entries show capitals or accents, and the options do not say so
      or say the opposite.
  """

  def __init__(
    self,
    entries: Sequence[str],
    max_len: int,
    *,
    lowercase: bool | None = None,
    strip_accents: bool | None = None,
    chinese_chars: bool = True,
  ):
    import tokenizers  # 0.1 s: only when used

    _check(entries, max_len)
    table = {_word(entry): token for token, entry in enumerate(entries)}
    unknown, cls, sep = SPECIAL[1:4]
    self.entries, self.max_len = tuple(entries), max_len
    if strip_accents is None:
      strip_accents = lowercase  # as in the library
    self.lowercase = _decide(entries, "lowercase", lowercase)
    if strip_accents is None and not self.lowercase:
      strip_accents = False
    self.strip_accents = _decide(entries, "strip_accents", strip_accents)
    self._encoder = tokenizers.Tokenizer(
      tokenizers.models.WordPiece(table, unk_token=unknown)
    )
    self._encoder.add_special_tokens(list(SPECIAL))
    _split_as_bert(
      self._encoder,
      lowercase=self.lowercase,
      strip_accents=self.strip_accents,
      handle_chinese_chars=chinese_chars,
    )
    self._encoder.post_processor = tokenizers.processors.BertProcessing(
      (sep, table[sep]), (cls, table[cls])
    )
    self._encoder.enable_truncation(max_len)
    self._encoder.enable_padding(
      length=max_len, pad_id=PAD, pad_token=SPECIAL[PAD]
    )

  @classmethod
  def from_file(
    cls, path: str | pathlib.Path, max_len: int, **options: bool | None
  ) -> "Tokenizer":
    """Reads a vocabulary file, and a `tokenizer_config.json` beside it.

    Lines end with LF or CRLF and nothing else.

    Args:
      path: the file.
      max_len: tokens of every encoded text.
      **options: of the constructor; they override the config.

    Raises:
      DataNotFoundError: no such file.
      ValueError: as the constructor; the file is not UTF-8, or the config
        cannot be read.
    """
    path = pathlib.Path(path).expanduser()
    if not path.is_file():
      raise sources.DataNotFoundError(
        f"No vocabulary {path}: a text file with one entry a line, [PAD] first."
      )
    text = utf8.decode(path.read_bytes(), str(path))
    if text.startswith("{"):
      raise ValueError(
        f"{path} is JSON, such as a tokenizer.json: give the vocab.txt beside"
        " it, a text file with one entry a line, [PAD] first."
      )
    entries = lines(text)
    given = {
      name: value for name, value in options.items() if value is not None
    }
    options = _configured(path.with_name(CONFIG)) | given
    try:
      with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        made = cls(entries, max_len, **options)
    except ValueError as error:
      raise ValueError(f"{path}: {error}") from error
    for warning in said:
      warnings.warn(f"{path}: {warning.message}", stacklevel=2)
    return made

  def __len__(self) -> int:
    return len(self.entries)

  def digest(self) -> str:
    """Digest of the meaning of every token, wherever its file is."""
    return digest.of(self.entries, self.lowercase, self.strip_accents)

  def encode(self, texts: Sequence[Text]) -> np.ndarray:
    """Tokens of every text or pair, int32 `[N, T]`."""
    encoded = self._encoder.encode_batch(list(texts))
    ids = [encoding.ids for encoding in encoded]
    return np.array(ids, np.int32).reshape(-1, self.max_len)


def lines(text: str) -> list[str]:
  """The lines of a text, which end with LF or CRLF and nothing else.

  `str.splitlines` also splits at U+2028 and U+0085, which are entries of
  vocabularies.
  """
  found = text.removesuffix("\n").split("\n") if text else []
  return [line.removesuffix("\r") for line in found]


def train(texts: Sequence[str], size: int) -> list[str]:
  """Trains an uncased vocabulary of at most `size` entries on a corpus."""
  import tokenizers

  encoder = tokenizers.Tokenizer(tokenizers.models.WordPiece())
  _split_as_bert(encoder, lowercase=True)
  normal = map(encoder.normalizer.normalize_str, texts)
  letters = sorted(set().union(*normal) - {" "})
  # All in a fixed order: the trainer would number letters in the random order
  # of a hash table, and break ties by these numbers.
  first = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
  trainer = tokenizers.trainers.WordPieceTrainer(
    vocab_size=size, special_tokens=first, show_progress=False
  )
  encoder.train_from_iterator(texts, trainer)
  table = encoder.get_vocab()
  return sorted(table, key=table.get)


def _split_as_bert(
  encoder: "tokenizers.Tokenizer",  # noqa: F821
  **options: bool | None,
) -> None:
  """Sets up BERT's normalizer and its split into words and punctuation."""
  import tokenizers

  encoder.normalizer = tokenizers.normalizers.BertNormalizer(**options)
  encoder.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
  encoder.decoder = tokenizers.decoders.WordPiece()


def _word(entry: str) -> str:
  """The part of an entry that a text can contain: no word ends with a space."""
  return entry.rstrip() or entry


def _decide(entries: Sequence[str], option: str, given: bool | None) -> bool:
  """Whether to apply a normalization, which must not change any entry."""
  import tokenizers

  off = dict.fromkeys(("clean_text", "handle_chinese_chars"), False)
  off |= {"lowercase": False, "strip_accents": False}
  change = tokenizers.normalizers.BertNormalizer(**off | {option: True})
  words = (e for e in entries if not _NO_WORD.fullmatch(e))
  lost = next((e for e in words if change.normalize_str(e) != e), None)
  if lost is None:
    return given is None or given
  if given is None:
    kind = "cased" if option == "lowercase" else "with accents"
    warnings.warn(
      f"The vocabulary is taken as {kind}: {option}=True would never reach such"
      f" entries as {lost!r}. To confirm, set `{option}` to False, or put a"
      f" {CONFIG} beside the file.",
      stacklevel=3,
    )
  elif given:
    warnings.warn(
      f"{option}=True never reaches entries of the vocabulary such as {lost!r}:"
      f" is it {option}=False?",
      stacklevel=3,
    )
  return bool(given)


def _configured(path: pathlib.Path) -> dict[str, bool | None]:
  """Options from the config of a published vocabulary; empty without one."""
  if not path.is_file():
    return {}
  try:
    config: Any = json.loads(utf8.decode(path.read_bytes(), str(path)))
  except (ValueError, RecursionError) as error:
    raise ValueError(f"{path} is no JSON: {error}.") from error
  if not isinstance(config, dict):
    raise ValueError(f"{path} must be a JSON object, got {config!r:.40}.")
  found = {
    ours: config[theirs]
    for theirs, ours in _OPTIONS.items()
    if theirs in config
  }
  for name, value in found.items():
    if not (value is None or isinstance(value, bool)):
      raise ValueError(
        f"{path}: {name} must be true or false, got {value!r:.40}."
      )
  return {name: value for name, value in found.items() if value is not None}


def _check(entries: Sequence[str], max_len: int) -> None:
  words = list(map(_word, entries))
  if not words or words[PAD] != SPECIAL[PAD]:
    raise ValueError(
      f"A vocabulary begins with {SPECIAL[PAD]}: got"
      f" {words[PAD][:40] if words else 'no entry'}."
    )
  missing = [entry for entry in SPECIAL if entry not in words]
  if missing:
    raise ValueError(f"The vocabulary lacks {', '.join(missing)}.")
  first: dict[str, int] = {}
  for line, word in enumerate(words, 1):
    # Blank lines are entries that no text contains.
    if word.strip() and first.setdefault(word, line) != line:
      raise ValueError(
        f"The vocabulary has {word!r} twice, on lines {first[word]} and {line}."
      )
  if max_len < SHORTEST:
    raise ValueError(
      f"`max_len` must be at least {SHORTEST}, [CLS] a [SEP] b [SEP]: got"
      f" {max_len}."
    )
