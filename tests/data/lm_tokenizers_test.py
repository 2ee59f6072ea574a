"""Tokenizers that lose nothing: round trips, characters, files, errors."""

import json
import pathlib
import pickle
import random

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from bnnjax import data
from bnnjax.data import embedded, lm_tokenizers

LOSSLESS = {
  name: lm_tokenizers.make_tokenizer(name) for name in ("bytes", "bpe")
}
few = settings(max_examples=50, deadline=None, derandomize=True)


@pytest.mark.parametrize("name", LOSSLESS)
@given(text=st.text())
@few
def test_any_text_comes_back_and_every_character_counts_once(name, text):
  tokenizer = LOSSLESS[name]
  ids = tokenizer.encode(text)
  assert ids.dtype == np.int32
  assert tokenizer.decode(ids) == text
  chars = tokenizer.chars(ids)
  assert (chars.dtype, chars.shape) == (np.int32, ids.shape)
  assert chars.sum() == len(text)


@given(text=st.text())
@few
def test_characters_of_its_own_text_come_back(text):
  tokenizer = lm_tokenizers.make_tokenizer("chars", lambda: text)
  ids = tokenizer.encode(text)
  assert len(tokenizer) == 1 + len(set(text))
  assert tokenizer.decode(ids) == text
  np.testing.assert_array_equal(tokenizer.chars(ids), np.ones(len(text)))
  assert ids.min(initial=1) == 1


@pytest.mark.parametrize("name", LOSSLESS)
@given(text=st.text(min_size=1), data=st.data())
@few
def test_a_character_counts_at_its_last_token(name, text, data):
  """The same characters as those that end within the first n tokens."""
  tokenizer = LOSSLESS[name]
  ids = tokenizer.encode(text)
  n = data.draw(st.integers(0, len(ids)))
  whole = b"".join(tokenizer.pieces[i] for i in ids[:n])
  ended = len(whole.decode(errors="ignore"))
  assert tokenizer.chars(ids)[:n].sum() == ended


def test_by_hand():
  chars = lm_tokenizers.make_tokenizer("chars", lambda: "aé€a")
  np.testing.assert_array_equal(chars.encode("€xa"), [3, 0, 1])
  assert chars.decode([3, 0, 1]) == "€\ufffda"
  np.testing.assert_array_equal(chars.chars([3, 0, 1]), [1, 1, 1])
  bytewise = lm_tokenizers.make_tokenizer("bytes")
  np.testing.assert_array_equal(bytewise.encode("aé"), [0x61, 0xC3, 0xA9])
  np.testing.assert_array_equal(
    bytewise.chars(bytewise.encode("a€é")), [1, 0, 0, 1, 0, 1]
  )
  assert bytewise.decode([0x61, 0xC3]) == "a\ufffd"  # a sample may stop there


def test_embedded_bpe_knows_plays():
  tokenizer = LOSSLESS["bpe"]
  assert len(tokenizer) == 1024
  pieces = {tokenizer.pieces[i] for i in tokenizer.encode("**HAMLET**  \n")}
  assert b"  \n" in pieces  # a verse's end


def test_bpe_is_a_function_of_the_text(tmp_path):
  text = "the cat sat on the mat\n" * 5
  made = lm_tokenizers.train_bpe(text, 270)
  assert lm_tokenizers.train_bpe(text, 270) == made
  path = tmp_path / "vocab.json"
  path.write_text(made, encoding="utf-8")
  tokenizer = lm_tokenizers.make_tokenizer("bpe", vocab_file=str(path))
  assert 256 < len(tokenizer) <= 270
  assert b" the" in tokenizer.pieces
  assert len(tokenizer.encode(text)) < len(text) // 2


def test_pieces_have_the_tokens_of_the_whole(tmp_path):
  """Spaces after a line's end, empty lines, and a normal form."""
  text = "if a:\n    b = 1\n\n    c = 2\n\t\nd\n e\r\nf " * 9
  level = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
  made = tokenizers.Tokenizer(tokenizers.models.BPE())
  made.pre_tokenizer = level
  made.decoder = tokenizers.decoders.ByteLevel()
  trainer = tokenizers.trainers.BpeTrainer(
    vocab_size=300,
    initial_alphabet=level.alphabet(),
    show_progress=False,
  )
  made.train_from_iterator([text], trainer)
  made.normalizer = tokenizers.normalizers.NFC()
  path = tmp_path / "vocab.json"
  made.save(str(path))
  tokenizer = lm_tokenizers.make_tokenizer("bpe", vocab_file=str(path))
  assert any(b"\n " in piece for piece in tokenizer.pieces)
  np.testing.assert_array_equal(tokenizer.encode(text), made.encode(text).ids)
  assert tokenizer.decode(tokenizer.encode("e\u0301")) == "\xe9"
  assert not tokenizer.lossless


def test_published_vocabularies_with_special_entries_and_holes(tmp_path):
  made = json.loads(lm_tokenizers.train_bpe("a b", 256))
  model = made["model"]["vocab"]
  model["Ġa"], made["model"]["merges"] = 300, [["Ġ", "a"]]
  made["added_tokens"] = [
    {
      **{"id": 257, "content": "<|é|>", "special": True, "normalized": False},
      **{"lstrip": False, "rstrip": False, "single_word": False},
    }
  ]
  path = tmp_path / "vocab.json"
  path.write_text(json.dumps(made), encoding="utf-8")
  tokenizer = lm_tokenizers.make_tokenizer("bpe", vocab_file=str(path))
  assert len(tokenizer) == 301
  ids = tokenizer.encode("b a<|é|>")
  np.testing.assert_array_equal(ids[1:], [300, 257])
  assert tokenizer.decode(ids) == "b a<|é|>"
  np.testing.assert_array_equal(tokenizer.chars(ids), [1, 2, 5])


@pytest.mark.parametrize("name", lm_tokenizers.NAMES)
def test_pickles(name):
  tokenizer = lm_tokenizers.make_tokenizer(name, lambda: "abc")
  other = pickle.loads(pickle.dumps(tokenizer))
  np.testing.assert_array_equal(other.encode("cab"), tokenizer.encode("cab"))


def lossy(path: pathlib.Path) -> str:
  model = tokenizers.models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]")
  tokenizers.Tokenizer(model).save(str(path))
  return str(path)


def lower_cased(path: pathlib.Path) -> str:
  made = json.loads(lm_tokenizers.train_bpe("a b", 256))
  made["normalizer"] = {"type": "Lowercase"}
  path.write_text(json.dumps(made), encoding="utf-8")
  return str(path)


def prefixed(path: pathlib.Path) -> str:
  made = json.loads(lm_tokenizers.train_bpe("a b", 256))
  made["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = True
  path.write_text(json.dumps(made), encoding="utf-8")
  return str(path)


def without_a_byte(path: pathlib.Path) -> str:
  made = json.loads(lm_tokenizers.train_bpe("a b", 256))
  del made["model"]["vocab"]["z"]
  path.write_text(json.dumps(made), encoding="utf-8")
  return str(path)


def spaces_around(path: pathlib.Path) -> str:
  made = tokenizers.Tokenizer.from_file(str(embedded.PLAYS_BPE))
  made.add_tokens([tokenizers.AddedToken("<m>", lstrip=True)])
  made.save(str(path))
  return str(path)


@pytest.mark.parametrize(
  ("make", "text", "becomes"),
  [
    (lossy, "a b", "[UNK]"),
    (lower_cased, "Ab", "ab"),
    (prefixed, "a\nb", " a\n b"),
    (without_a_byte, "azb", "ab"),
    (spaces_around, "a <m>", "a<m>"),
  ],
)
def test_says_that_a_text_does_not_come_back(tmp_path, make, text, becomes):
  tokenizer = lm_tokenizers.make_tokenizer(
    "bpe", vocab_file=make(tmp_path / "vocab.json")
  )
  ids, chars = tokenizer.align(text)
  assert tokenizer.decode(ids) == becomes
  assert not tokenizer.lossless
  assert chars.sum() == len(text)
  assert tokenizer.chars(ids).sum() == len(becomes)


def test_lossless_by_name():
  lossless = {
    name: lm_tokenizers.make_tokenizer(name, lambda: "abc").lossless
    for name in lm_tokenizers.NAMES
  }
  assert lossless == {"bytes": True, "bpe": True, "chars": False}


TEXT = "a b c\nd\n" + "x1 y2 " * 600 + "\nend"


@pytest.mark.parametrize("setting", ["padding", "truncation", "dropout"])
def test_what_would_change_a_long_text_is_off_and_said(tmp_path, setting):
  made = tokenizers.Tokenizer.from_file(str(embedded.PLAYS_BPE))
  if setting == "padding":
    made.enable_padding(pad_id=0, pad_token=made.id_to_token(0))
  elif setting == "truncation":
    made.enable_truncation(512)
  else:
    made.model.dropout = 0.5
  path = tmp_path / "vocab.json"
  made.save(str(path))
  with pytest.warns(UserWarning, match=f"vocab.json: {setting}.* switched off"):
    tokenizer = lm_tokenizers.make_tokenizer("bpe", vocab_file=str(path))
  expected = LOSSLESS["bpe"].encode(TEXT)
  np.testing.assert_array_equal(tokenizer.encode(TEXT), expected)
  assert tokenizer.decode(expected) == TEXT
  assert tokenizer.lossless


def test_files_with_a_byte_order_mark(tmp_path):
  path = tmp_path / "vocab.json"
  path.write_bytes(b"\xef\xbb\xbf" + embedded.PLAYS_BPE.read_bytes())
  tokenizer = lm_tokenizers.make_tokenizer("bpe", vocab_file=str(path))
  assert tokenizer.pieces == LOSSLESS["bpe"].pieces


VALUES = (None, 0, -1, 2**32, 1.5, "", "x", [], {}, True, {"type": "ByteLevel"})


def damaged(rng, spec):
  """Bytes of the file, changed anywhere: in its JSON, or in its bytes."""
  spec = json.loads(json.dumps(spec))
  if rng.random() < 0.5:
    whole = bytearray(json.dumps(spec).encode())
    for _ in range(3):
      whole[rng.randrange(len(whole))] = rng.randrange(256)
    return bytes(whole[: rng.choice([None, rng.randrange(len(whole))])])
  node, below = None, spec
  while isinstance(below, dict | list) and below and rng.random() < 0.9:
    node = below
    key = rng.choice([*node] if isinstance(node, dict) else range(len(node)))
    below = node[key]
  if node is not None:
    node[key] = rng.choice(VALUES)
  return json.dumps(spec).encode()


def test_damaged_files_are_named_or_right(tmp_path):
  """What is read streams as it decodes and keeps its promise (seed 0)."""
  rng = random.Random(0)
  spec = json.loads(lm_tokenizers.train_bpe("the cat sat\n" * 3, 262))
  path, text = tmp_path / "vocab.json", "The café\n 12\n\nsat"
  refused = []
  for _ in range(250):
    path.write_bytes(damaged(rng, spec))
    try:
      tokenizer = lm_tokenizers.make_tokenizer("bpe", vocab_file=str(path))
    except ValueError as error:
      refused.append(str(error))
      continue
    ids, chars = tokenizer.align(text)
    assert chars.sum() == len(text)
    stream, decoded = tokenizer.stream(), tokenizer.decode(ids)
    assert "".join(map(stream.push, ids.tolist())) + stream.end() == decoded
    assert decoded == text or not tokenizer.lossless
  assert all(str(path) in message for message in refused)
  assert 100 < len(refused) < 240


def test_numbers_far_beyond_the_entries(tmp_path):
  spec = json.loads(lm_tokenizers.train_bpe("a b", 256))
  spec["model"]["vocab"]["a"] = 2**31
  path = tmp_path / "vocab.json"
  path.write_text(json.dumps(spec), encoding="utf-8")
  with pytest.raises(
    ValueError, match=r"256 entries, but 'a' has .* 2147483648"
  ):
    lm_tokenizers.make_tokenizer("bpe", vocab_file=str(path))


def test_bad_arguments(tmp_path):
  with pytest.raises(ValueError, match=r"'char'. Did you mean 'chars'\?"):
    lm_tokenizers.make_tokenizer("char")
  with pytest.raises(
    ValueError, match="'chars' has no file: got vocab_file='x'"
  ):
    lm_tokenizers.make_tokenizer("chars", vocab_file="x")
  with pytest.raises(data.DataNotFoundError, match="`lm_tokenizers.train_bpe`"):
    lm_tokenizers.make_tokenizer("bpe", vocab_file=str(tmp_path / "none.json"))
  path = tmp_path / "text"
  path.write_text("no JSON")
  with pytest.raises(ValueError, match="is no tokenizer: "):
    lm_tokenizers.make_tokenizer("bpe", vocab_file=str(path))
  with pytest.raises(ValueError, match="at least 256, the bytes: got 9"):
    lm_tokenizers.train_bpe("a", 9)


def test_an_expression_that_gives_up_is_an_error(tmp_path):
  """In the library it is a panic, which is no `Exception`."""
  spec = json.loads(embedded.PLAYS_BPE.read_text())
  spec["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {"Regex": "(a|a)*$"}
  path = tmp_path / "t.json"
  path.write_text(json.dumps(spec))
  with pytest.raises(ValueError, match="t.json failed in .*retry-limit"):
    lm_tokenizers.Bpe(path).encode("a" * 40 + "!")
