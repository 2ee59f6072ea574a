"""Windows over one text: every token scored once, whatever their overlap."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bnnjax import data
from bnnjax.data import lm_tokenizers, sources, windows

few = settings(max_examples=100, deadline=None, derandomize=True)
TEXT = "No profit grows where is no pleasure ta'en, süß “€” ou naïf:\n\n" * 20
ONE = {"process_index": 0, "process_count": 1}


def ranked(size, length, context):
  """Windows over the text whose i-th character is the i-th of Unicode."""
  text = "".join(map(chr, range(0x100, 0x100 + size)))
  tokenizer = lm_tokenizers.Chars(text)
  info = sources.DatasetInfo("ranked", (length,), 0, vocab=size + 1)
  return windows.Windows(tokenizer.encode(text), tokenizer, info, context)


@given(data=st.data())
@few
def test_every_token_but_the_first_is_scored_once(data):
  length = data.draw(st.integers(2, 12))
  context = data.draw(st.integers(0, length - 1))
  size = data.draw(st.integers(length, 60))
  source = ranked(size, length, context)
  batch = source.read(np.arange(len(source)))
  tokens, scored = batch["tokens"], batch["scored"]
  assert tokens.shape == scored.shape == (len(source), length)
  np.testing.assert_array_equal(np.diff(tokens), 1)  # as they are in the text
  assert not scored[:, 0].any()
  np.testing.assert_array_equal(tokens[scored], np.arange(2, size + 1))
  # All but those of the first window have their context.
  place = np.broadcast_to(np.arange(length), tokens.shape)
  assert (place[1:][scored[1:]] >= context).all()
  np.testing.assert_array_equal(
    np.diff(tokens[:-1, 0]), length - max(context, 1)
  )
  assert tokens[-1, -1] == size
  assert scored.any(1).all()  # none is read for nothing


def test_by_hand():
  batch = ranked(8, 5, 2).read([0, 1])
  np.testing.assert_array_equal(
    batch["tokens"], [[1, 2, 3, 4, 5], [4, 5, 6, 7, 8]]
  )
  np.testing.assert_array_equal(
    batch["scored"], [[0, 1, 1, 1, 1], [0, 0, 1, 1, 1]]
  )
  moved_back = ranked(9, 5, 2)[2]
  np.testing.assert_array_equal(moved_back["tokens"], [5, 6, 7, 8, 9])
  np.testing.assert_array_equal(moved_back["scored"], [0, 0, 0, 0, 1])


@pytest.mark.parametrize("context", [0, 7])
@pytest.mark.parametrize("tokenizer", lm_tokenizers.NAMES)
def test_scored_characters_are_those_of_the_text(tmp_path, tokenizer, context):
  path = tmp_path / "text"
  path.write_text(TEXT, encoding="utf-8")
  options = {"path": str(path), "max_len": 16, "tokenizer": tokenizer}
  cut = round(0.9 * len(TEXT))
  for split, text in (("train", TEXT[:cut]), ("test", TEXT[cut:])):
    source = data.load("text_file", split, context=context, **options)
    batch = source.read(np.arange(len(source)))
    first = source.tokenizer.chars(source.tokenizer.encode(text)[:1]).sum()
    assert (batch["chars"] * batch["scored"]).sum() == len(text) - first
    overlap = 1 if split == "train" else max(context, 1)
    ids = source.tokenizer.encode(text)
    np.testing.assert_array_equal(
      source[1]["tokens"][:overlap], ids[:16][-overlap:]
    )
    assert source.info.splits == {split: len(source)}
  other = data.tokenizer_of("text_file", **options)
  assert other.pieces == source.tokenizer.pieces


def test_batches_have_the_keys_of_the_source():
  source = ranked(60, 8, 0)
  kinds = {
    "tokens": (np.int32, (4, 8)),
    "chars": (np.int32, (4, 8)),
    "scored": (bool, (4, 8)),
  }
  batches = data.make_train_iterator(source, batch_size=4, seed=0, **ONE)
  batch = next(batches)
  assert {k: (v.dtype, v.shape) for k, v in batch.items()} == kinds
  state = json.loads(json.dumps(batches.get_state()))
  expected = next(batches)
  batches.set_state(state)
  np.testing.assert_array_equal(next(batches)["tokens"], expected["tokens"])
  scored = 0
  for batch in data.make_eval_batches(source, batch_size=4, **ONE):
    assert batch.pop("mask").shape == (4,)
    assert {k: (v.dtype, v.shape) for k, v in batch.items()} == kinds
  for batch in data.make_eval_batches(source, batch_size=4, **ONE):
    scored += (batch["scored"] * batch["mask"][:, None]).sum()
  assert scored == 59


def test_workers_get_the_same():
  source = ranked(60, 8, 0)
  other = pickle.loads(pickle.dumps(source))
  np.testing.assert_array_equal(other[-1]["tokens"], source[-1]["tokens"])
  with pytest.raises(IndexError):
    source[len(source)]


def test_a_long_text_stays_narrow_in_memory():
  size = len(pickle.dumps(data.load("plays_mini", "test", tokenizer="bytes")))
  assert size < 2.2 * 93_245  # a byte for the token, one for its characters


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"tokenizer": "byte"}, "Unknown tokenizer 'byte'. Did you mean 'bytes'"),
    ({"vocab_file": "x"}, 'Set `tokenizer="bpe"`'),
    ({"max_len": 1}, "`max_len` must be at least 2, .* got 1"),
    ({"context": 8}, r"`context` must be in \[0, 8\), .* got 8"),
    ({"context": -1}, "got -1"),
    ({"max_len": 125}, "'test' of 'text_file' has 124 tokens, less than one"),
    ({"test_share": 1.0}, r"in \(0, 1\): got 1.0"),
    ({"split": "validation"}, "split of data set 'text_file' 'validation'"),
    ({"contxt": 2}, "Did you mean 'context'"),
  ],
)
def test_bad_arguments(tmp_path, options, message):
  path = tmp_path / "text"
  path.write_bytes(TEXT.encode())
  options = {"split": "test", "path": str(path), "max_len": 8, **options}
  with pytest.raises(ValueError, match=message):
    data.load("text_file", **options)


def test_unknown_characters_are_said(tmp_path):
  path = tmp_path / "text"
  path.write_text("a" * 90 + "ab" * 5)
  data.load("text_file", "train", path=str(path), max_len=8)
  with pytest.warns(
    UserWarning, match="5 of the 10 tokens of the split 'test'"
  ):
    data.load("text_file", "test", path=str(path), max_len=8)
