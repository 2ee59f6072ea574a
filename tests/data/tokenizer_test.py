"""WordPiece against the algorithm by hand, lengths, vocabulary files."""

import pickle

import numpy as np
import pytest

from bnnjax import data
from bnnjax.data import tokenizer
from bnnjax.data.tokenizer import Tokenizer

ENTRIES = [*tokenizer.SPECIAL, "un", "##aff", "##able", "cafe", "a", "b", "!"]
PAD, UNK, CLS, SEP = range(4)


def greedy(word):
  """The longest entry first (Devlin et al. 2019, released tokenization.py)."""
  tokens, start = [], 0
  while start < len(word):
    for end in range(len(word), start, -1):
      piece = ("##" if start else "") + word[start:end]
      if piece in ENTRIES:
        tokens.append(ENTRIES.index(piece))
        start = end
        break
    else:
      return [UNK]
  return tokens


@pytest.mark.parametrize(
  ("text", "words"),
  [
    ("unaffable", ["unaffable"]),
    ("Un AFFABLE", ["un", "affable"]),
    ("Café!", ["cafe", "!"]),
    ("a  b\ta", ["a", "b", "a"]),
    ("", []),
  ],
)
def test_greedy_longest_match_of_lower_case(text, words):
  (tokens,) = Tokenizer(ENTRIES, 10).encode([text])
  body = [token for word in words for token in greedy(word)]
  expected = [CLS, *body, SEP]
  np.testing.assert_array_equal(tokens, expected + [PAD] * (10 - len(expected)))


def test_pairs_and_truncation():
  a, b = ENTRIES.index("a"), ENTRIES.index("b")
  tokens = Tokenizer(ENTRIES, 6).encode(
    [("a", "b"), ("a a a a", "b"), "b " * 9]
  )
  assert tokens.dtype == np.int32
  np.testing.assert_array_equal(
    tokens,
    [
      [CLS, a, SEP, b, SEP, PAD],
      [CLS, a, a, SEP, b, SEP],  # the longer one is cut
      [CLS, b, b, b, b, SEP],
    ],
  )


def test_nothing_to_encode():
  assert Tokenizer(ENTRIES, 6).encode([]).shape == (0, 6)


def test_pickles():
  encoder = Tokenizer(ENTRIES, 6)
  again = pickle.loads(pickle.dumps(encoder))
  np.testing.assert_array_equal(again.encode(["a"]), encoder.encode(["a"]))


def test_file_is_a_line_an_entry(tmp_path):
  path = tmp_path / "vocab.txt"
  path.write_text("\n".join(ENTRIES) + "\n")
  encoder = Tokenizer.from_file(path, 6)
  assert len(encoder) == len(ENTRIES)
  assert encoder.entries == tuple(ENTRIES)


def test_trained_on_a_corpus():
  """Special entries first, then the letters; the same at every call."""
  texts = ["The cat sat.", "the cats", "a cat", "The hat"] * 5
  entries = tokenizer.train(texts, 40)
  assert entries[:5] == list(tokenizer.SPECIAL)
  assert {"cat", "the"} <= set(entries)
  assert len(entries) <= 40
  assert entries == tokenizer.train(texts, 40)
  tokens = Tokenizer(entries, 12).encode(texts)
  assert not (tokens == UNK).any()


@pytest.mark.parametrize(
  ("entries", "max_len", "message"),
  [
    ([], 6, r"begins with \[PAD\]: got no entry"),
    (ENTRIES[1:], 6, r"begins with \[PAD\]: got \[UNK\]"),
    ([e for e in ENTRIES if e != "[SEP]"], 6, r"lacks \[SEP\]"),
    ([*ENTRIES, "a"], 6, "has 'a' twice"),
    (ENTRIES, 4, r"`max_len` must be at least 5.*got 4"),
  ],
)
def test_errors(tmp_path, entries, max_len, message):
  with pytest.raises(ValueError, match=message):
    Tokenizer(entries, max_len)
  path = tmp_path / "words.txt"
  path.write_text("\n".join(entries))
  with pytest.raises(ValueError, match=f"words.txt: .*{message}"):
    Tokenizer.from_file(path, max_len)


def test_missing_file_says_what_it_is(tmp_path):
  with pytest.raises(
    data.DataNotFoundError, match=r"one entry a line, \[PAD\]"
  ):
    Tokenizer.from_file(tmp_path / "vocab.txt", 6)
