import dataclasses
import sys

import pytest

from bnnjax import data
from bnnjax.data import (
  fake,
  fashion_mnist,
  lm_tokenizers,
  plays,
  windows,
  wordnet,
)


@pytest.mark.parametrize(
  ("name", "options", "message"),
  [
    ("fake", {"size": "64"}, "Option 'size' of source 'fake' must be a int"),
    ("fake", {"size": 64.0}, "'size' .* got 64.0"),
    ("fake", {"num_classes": True}, "'num_classes' .* got True"),
    ("fake", {"shape": 4}, "'shape' .* must be a tuple, got 4"),
    ("text_file", {"test_share": "0.1"}, "'test_share' .* must be a float"),
    ("plays_mini", {"tokenizer": None}, "'tokenizer' .* must be a str"),
    ("tfds:mnist", {"dataset": "cifar10"}, "leave out the option `dataset`"),
  ],
)
def test_options_of_another_type(name, options, message):
  with pytest.raises(ValueError, match=message):
    data.load(name, **options)


def test_a_list_may_stand_for_a_tuple_and_an_int_for_a_float():
  source = data.load("fake", shape=[4, 4, 1], size=3)
  assert source.info.shape == (4, 4, 1)
  with pytest.raises(ValueError, match=r"must be in \(0, 1\): got 1"):
    data.load("text_file", test_share=1)


def _nothing_is_read(*args, **options):
  raise AssertionError("examples were read")


@pytest.mark.parametrize(
  ("name", "options"),
  [
    ("fashion_mnist_mini", {}),
    ("digits", {}),
    ("wordnet_mini", {"max_len": 9}),
    ("plays_mini", {"tokenizer": "bytes", "max_len": 9}),
    ("plays_mini", {"tokenizer": "bpe"}),
    ("fake", {"shape": (5, 6, 3), "num_classes": 7, "size": 3}),
    ("fake_text", {"size": 3}),
    ("fake_tokens", {"vocab": 9, "size": 3}),
  ],
)
def test_info_is_that_of_the_opened_source(name, options, monkeypatch):
  if name == "digits":
    pytest.importorskip("sklearn")
  opened = data.load(name, "test", **options).info
  for module, reader in (
    (fashion_mnist, "mini_arrays"), (wordnet, "mini"), (plays, "mini"),
    (fake.FakeSource, "__init__"), (windows.Windows, "__init__"),
  ):  # fmt: skip
    monkeypatch.setattr(module, reader, _nothing_is_read)
  monkeypatch.setitem(sys.modules, "sklearn", None)
  told = data.info(name, "test[:50%]", **options)
  # How many windows a text has, its tokens say.
  splits = {} if name.startswith("plays") else opened.splits
  assert told == dataclasses.replace(opened, splits=splits)


def test_characters_are_read_once_whoever_asks(tmp_path, monkeypatch):
  path = tmp_path / "text.txt"
  path.write_text("abcab " * 20)
  asked = []
  chars = lm_tokenizers.Chars
  monkeypatch.setattr(
    lm_tokenizers, "Chars", lambda text: asked.append(text) or chars(text)
  )
  name, options = f"text_file:{path}", {"max_len": 4}
  assert data.info(name, **options).vocab == 5
  assert data.load(name, "test", **options).info.vocab == 5
  assert asked == [" abc"] * 2


@pytest.mark.parametrize(
  ("name", "split", "options", "message"),
  [
    ("fashion_mnist", "trian", {}, "Did you mean 'train'"),
    ("plays_mini", "tset", {}, "Did you mean 'test'"),
    ("plays_mini", "train", {"max_len": 1}, "`max_len` must be at least 2"),
    ("wordnet", "train[", {}, "Cannot read the split"),
    ("fake", "train", {"sizes": 3}, "Did you mean 'size'"),
    ("text_file:x", "train", {"path": "y"}, "leave out the option `path`"),
  ],
)
def test_info_refuses_what_load_refuses(name, split, options, message):
  with pytest.raises(ValueError, match=message):
    data.info(name, split, **options)


def test_only_sources_of_one_text_have_a_tokenizer():
  with pytest.raises(ValueError, match="'fake_text' has no tokenizer"):
    data.tokenizer_of("fake_text")
  chosen = data.tokenizer_of("plays_mini", "test[:50%]", tokenizer="bytes")
  assert len(chosen) == 256
