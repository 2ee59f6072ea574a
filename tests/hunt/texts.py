"""Readers of texts and vocabularies."""

import functools
import json

import numpy as np
import tokenizers

from bnnjax.data import lm_tokenizers, text_file, wordpiece
from tests.hunt import damage
from tests.hunt.readers import TEXT, Reader, letters, text

SAMPLE = ("abc cab, bad dab", "a b. abba jig", "zzz")


def _write_vocab(rng, folder):
  words = {letters(rng, int(rng.integers(1, 5))) for _ in range(30)}
  entries = [*wordpiece.SPECIAL, *words, *(f"##{w}" for w in words), ",", "."]
  end = "\r\n" if rng.random() < 0.3 else "\n"
  mark = "\ufeff" if rng.random() < 0.2 else ""
  last = end if rng.random() < 0.8 else ""
  path = folder / "vocab.txt"
  path.write_bytes((mark + end.join(entries) + last).encode())
  table = {entry: i for i, entry in enumerate(entries)}
  library = tokenizers.BertWordPieceTokenizer(table, lowercase=True)
  library.enable_truncation(16)
  library.enable_padding(length=16)
  ids = [e.ids for e in library.encode_batch(list(SAMPLE))]
  return path, (len(entries), np.array(ids, np.int32))


def _read_vocab(path):
  found = wordpiece.Tokenizer.from_file(path, 16)
  return len(found), found.encode(SAMPLE)


@functools.cache
def _trained(size: int) -> str:
  corpus = text(np.random.default_rng(size), 4000) + " ".join(SAMPLE)
  return lm_tokenizers.train_bpe(corpus.replace("\0", " "), size)


def _write_bpe(rng, folder):
  made = json.loads(_trained(256 + 8 * int(rng.integers(4))))
  path = folder / "tokenizer.json"
  indent, ascii_ = int(rng.integers(3)) or None, bool(rng.integers(2))
  path.write_text(
    json.dumps(made, indent=indent, ensure_ascii=ascii_), encoding="utf-8"
  )
  return path, _library(path)


def _library(path):
  library = tokenizers.Tokenizer.from_file(str(path))
  library.no_padding()
  library.no_truncation()
  ids = [library.encode(s, add_special_tokens=False).ids for s in SAMPLE]
  return ids


def _change_bpe(rng, path):
  kind, data = damage.json_text(rng, json.loads(path.read_text("utf-8")))
  path.write_bytes(data)
  return kind, True


def _read_bpe(path):
  found = lm_tokenizers.Bpe(path)
  return [found.encode(s).tolist() for s in SAMPLE]


def _write_text(rng, folder):
  content = text(rng, int(rng.integers(1, 300))).lstrip("\ufeff")
  path = folder / "a.txt"
  path.write_bytes(content.encode())
  return path, content


def _read_text(path):
  read = text_file.read  # may remember the file of a path
  return getattr(read, "__wrapped__", read)(str(path))


READERS = {
  "vocab.txt": Reader(_write_vocab, _read_vocab, TEXT),
  "tokenizer.json": Reader(
    _write_bpe,
    _read_bpe,
    TEXT,
    _change_bpe,
    lambda got, want, path: got == _library(path),
  ),
  "text": Reader(_write_text, _read_text, TEXT),
}
