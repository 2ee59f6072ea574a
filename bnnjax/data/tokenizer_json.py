"""Files of the `tokenizers` library (`tokenizer.json`) and their properties.

From the parts of a file follow the bytes that an entry stands for, whether
decoding restores a text, whether a text can be encoded in parts, and whether
tokens can be decoded one by one.
"""

import contextlib
import json
import pathlib
import re
import warnings
from collections.abc import Container, Iterator
from typing import Any

from bnnjax.data import sources, utf8

# GPT-2 writes printable Latin-1 as itself, the other bytes from U+0100 on.
_SHOWN = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_HIDDEN = tuple(byte for byte in range(256) if byte not in _SHOWN)
BYTE_OF = {chr(byte): byte for byte in _SHOWN}
BYTE_OF |= {chr(0x100 + i): byte for i, byte in enumerate(_HIDDEN)}

# Of GPT-2, LLaMA, LLaMA-3 and Gemma; a file does not mark their role.
_ENDS = ("<|endoftext|>", "</s>", "<|end_of_text|>", "<eos>")
_TRIAL = "Ab  ée\u0301\n\n don't 12 \t…"
PART = 1 << 16  # characters: overhead below a millisecond, larger than caches
# No word continues across it, see `in_parts`.
_LINE_END = re.compile(r"\S\n(?=[^\W\d_])")
_SUFFIXES = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_CASED = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_SMALL = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_BEFORE = r"[^\r\n\p{L}\p{N}]?"
_SPACES = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
_OTHERS = r"| ?[^\s\p{L}\p{N}]+[\r\n"
# Of cl100k and LLaMA-3, Qwen2, o200k.
_KNOWN_PATTERNS = (
  rf"{_SUFFIXES}|{_BEFORE}\p{{L}}+|\p{{N}}{{1,3}}{_OTHERS}]*{_SPACES}",
  rf"{_SUFFIXES}|{_BEFORE}\p{{L}}+|\p{{N}}{_OTHERS}]*{_SPACES}",
  rf"{_BEFORE}{_CASED}*{_SMALL}+{_SUFFIXES}?|{_BEFORE}{_CASED}+{_SMALL}*"
  rf"{_SUFFIXES}?|\p{{N}}{{1,3}}{_OTHERS}/]*{_SPACES}",
)


def read(path: pathlib.Path) -> tuple["tokenizers.Tokenizer", dict[str, Any]]:  # noqa: F821
  """The tokenizer of a file, and the content of the file but its vocabulary.

  Padding, truncation and dropout, which would change a long text, are switched
  off with a warning. The post-processor, which puts special entries around a
  text ([CLS], <s>), is removed.

  Raises:
    DataNotFoundError: no such file.
    ValueError: another kind of file, or one that the library cannot use.
  """
  import tokenizers  # 0.1 s: only when used

  if not path.is_file():
    raise sources.DataNotFoundError(
      f"No vocabulary {path}: a tokenizer.json of the `tokenizers` library, as"
      " `lm_tokenizers.train_bpe` makes."
    )
  text = utf8.decode(path.read_bytes(), str(path))
  try:
    with errors():
      encoder = tokenizers.Tokenizer.from_str(text)
      off = _switch_off(encoder)
      # Before `to_str`, which loops over all numbers up to the last.
      _check_numbers(encoder)
      ids = encoder.encode(_TRIAL).ids
      encoder.decode(ids, skip_special_tokens=False)
      spec = json.loads(encoder.to_str())
  except Exception as error:  # the library raises no narrower one
    raise ValueError(
      f"{path} is no tokenizer: {str(error).rstrip('.')}. It must be a tokenizer.json of the"
      " `tokenizers` library, as `lm_tokenizers.train_bpe` makes."
    ) from error
  if off:
    warnings.warn(
      f"{path}: {' and '.join(off)} {'is' if len(off) == 1 else 'are'} switched"
      " off. Texts for language modelling are encoded whole, without randomness.",
      stacklevel=2,
    )
  spec["model"].pop("vocab", None)
  spec["model"].pop("merges", None)
  return encoder, spec


@contextlib.contextmanager
def errors(what: str = "A tokenizer") -> Iterator[None]:
  """Turns a panic of the library, which is no `Exception`, into `ValueError`.

  Args:
    what: subject of the message.
  """
  try:
    yield
  except (Exception, KeyboardInterrupt, SystemExit, GeneratorExit):
    raise
  except BaseException as error:
    raise ValueError(
      f"{what} failed in the `tokenizers` library: {error}."
    ) from error


def _switch_off(encoder: Any) -> list[str]:
  off = []
  if encoder.padding is not None:
    encoder.no_padding()
    off.append("padding")
  if encoder.truncation is not None:
    encoder.no_truncation()
    off.append("truncation")
  if getattr(encoder.model, "dropout", None):
    encoder.model.dropout = None
    off.append("dropout of merges")
  encoder.post_processor = None  # it would trim offsets too
  return off


def _check_numbers(encoder: Any) -> None:
  """Raises if most numbers have no entry; published vocabularies lack a few."""
  table = encoder.get_vocab()
  if not table:
    raise ValueError("it has no entries")
  last = max(table, key=table.get)
  if table[last] > 2 * len(table) + 65_536:
    raise ValueError(
      f"it has {len(table)} entries, but {last!r} has the number {table[last]}"
    )


def is_bytewise(spec: dict[str, Any]) -> bool:
  """Whether tokens stand for bytes, so that decoding joins them."""
  return [part["type"] for part in _parts(spec["decoder"])] == ["ByteLevel"]


def pieces(encoder: Any) -> list[bytes]:
  """The bytes that every token of a byte-level vocabulary stands for.

  An added token stands for its own text. (The library's decoder reads an added
  token of Latin-1 letters as bytes, which are no characters.)
  """
  added = {
    token: entry.content.encode()
    for token, entry in encoder.get_added_tokens_decoder().items()
  }
  entries = {token: entry for entry, token in encoder.get_vocab().items()}
  return [
    added[token] if token in added else _bytes(entries.get(token, ""))
    for token in range(max(entries) + 1)
  ]


def _bytes(entry: str) -> bytes:
  try:
    return bytes(map(BYTE_OF.__getitem__, entry))
  except KeyError:  # not in the alphabet: the library keeps it
    return entry.encode()


def is_lossless(encoder: Any, spec: dict[str, Any]) -> bool:
  """Whether decoding restores every text, by the parts of the file.

  This holds for byte-level BPE with all 256 bytes, without a normalizer, a
  prefix, removed characters, or added tokens that strip spaces around them.
  """
  model, table = spec["model"], encoder.get_vocab()
  before = _parts(spec["pre_tokenizer"])
  levels = [part for part in before if part["type"] == "ByteLevel"]
  others = [part for part in before if part["type"] != "ByteLevel"]
  return (
    is_bytewise(spec)
    and spec["normalizer"] is None
    and model["type"] == "BPE"
    and not model["continuing_subword_prefix"]
    and not model["end_of_word_suffix"]
    and table.keys() >= BYTE_OF.keys()
    and len(set(table.values())) == len(table)
    and len(levels) == 1
    and not levels[0]["add_prefix_space"]
    and all(
      part["type"] in ("Split", "Digits", "Punctuation")
      and part.get("behavior") != "Removed"
      for part in others
    )
    and not any(_takes_spaces(token) for token in spec["added_tokens"])
  )


def has_word_line_ends(spec: dict[str, Any]) -> bool:
  """Whether no token crosses a single line end between two words.

  Known for published byte-level pre-tokenizers; others encode a text whole.
  """
  before = _parts(spec["pre_tokenizer"])
  return (
    bool(before)
    and _ends_at_lines(before[0])
    and all(part["type"] == "ByteLevel" for part in before[1:])
    and [part["type"] for part in _parts(spec["normalizer"])] in ([], ["NFC"])
    and spec["model"]["type"] == "BPE"
    and not any(
      "\n" in token["content"] or token["single_word"] or _takes_spaces(token)
      for token in spec["added_tokens"]
    )
  )


def in_parts(text: str) -> Iterator[str]:
  r"""Cuts a text after line ends that no word of published patterns crosses.

  Words of GPT-2, cl100k and o200k continue after a line end only with spaces,
  line ends or a slash (o200k), never with a letter.

  Example:
    >>> list(in_parts("word\nnext\n\nlast"))  # for PART = 1
    ['word\n', 'next\n\nlast']
  """
  start = 0
  while found := _LINE_END.search(text, start + PART):
    yield text[start : found.end()]
    start = found.end()
  yield text[start:]


def late(encoder: Any, spec: dict[str, Any]) -> Container[int]:
  """Tokens whose text may depend on later tokens.

  None, if the decoder works token by token (and knows which one is the first).
  The byte tokens such as `<0xC3>`, if it has them: a run of them is decoded
  together. All, for any other decoder: the text is known only at the end.
  """
  kinds = [part["type"] for part in _parts(spec["decoder"])]
  joined = kinds.index("Fuse") if "Fuse" in kinds else len(kinds)
  each = {"BPEDecoder", "ByteFallback", "Metaspace", "Replace", "Strip"}
  each.add("WordPiece")
  ends = [part for part in _parts(spec["decoder"])[joined + 1 :]]
  table = encoder.get_vocab()
  if not set(kinds[:joined]) <= each or not all(
    part["type"] == "Fuse" or (part["type"] == "Strip" and not part["stop"])
    for part in ends
  ):
    return range(max(table.values()) + 1)
  if "ByteFallback" not in kinds:
    return frozenset()
  byte = re.compile(r"<0x..>", re.DOTALL)
  return frozenset(id for entry, id in table.items() if byte.fullmatch(entry))


def unknown(encoder: Any, spec: dict[str, Any]) -> int | None:
  """The token for everything outside the vocabulary, if there is one."""
  model = spec["model"]
  entry = model.get("unk_token")
  return model.get("unk_id") if entry is None else encoder.token_to_id(entry)


def ends(spec: dict[str, Any]) -> tuple[int, ...]:
  """The special tokens that published files use as the end of a text."""
  return tuple(
    token["id"]
    for token in spec["added_tokens"]
    if token["special"] and token["content"] in _ENDS
  )


def _ends_at_lines(part: dict[str, Any]) -> bool:
  if part["type"] == "ByteLevel":
    return part["use_regex"] and not part["add_prefix_space"]
  if part["type"] != "Split" or part["invert"]:
    return False
  pattern, behavior = part["pattern"], part["behavior"]
  if pattern == {"String": "\n"}:  # as `lm_tokenizers.train_bpe` makes
    return behavior == "MergedWithPrevious"
  return behavior == "Isolated" and pattern.get("Regex") in _KNOWN_PATTERNS


def _takes_spaces(token: dict[str, Any]) -> bool:
  return token["lstrip"] or token["rstrip"]


def _parts(spec: dict[str, Any] | None) -> list[dict[str, Any]]:
  """The parts of a step in order, with nested sequences flattened."""
  if spec is None:
    return []
  if spec["type"] != "Sequence":
    return [spec]
  names = ("normalizers", "pretokenizers", "decoders")
  inner = next(spec[name] for name in names if name in spec)
  return [part for one in inner for part in _parts(one)]
