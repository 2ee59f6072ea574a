"""Fake data: deterministic, balanced, learnable."""

import numpy as np
import pytest

from bnnjax import data
from bnnjax.data import fake


def test_deterministic_by_seed_and_split():
  image = data.load("fake")[7]["image"]
  np.testing.assert_array_equal(data.load("fake")[7]["image"], image)
  assert (data.load("fake", seed=1)[7]["image"] != image).any()
  assert (data.load("fake", "test")[7]["image"] != image).any()


def test_any_shape_and_number_of_classes():
  source = data.load("fake", shape=[5, 9, 3], num_classes=4, size=40)
  images, labels = source.read(range(40)).values()
  assert images.shape == (40, 5, 9, 3)
  np.testing.assert_array_equal(np.bincount(labels), [10] * 4)


def test_learnable():
  """The nearest class mean of the training split labels the test split."""
  train, test = data.load("fake"), data.load("fake", "test")
  images, labels = train.read(range(len(train))).values()
  means = np.stack([images[labels == c].mean(0) for c in range(10)])
  images, labels = test.read(range(100)).values()
  distances = np.square(images[:, None] - means).sum((2, 3, 4))
  assert (distances.argmin(1) == labels).mean() > 0.95


def test_text_is_learnable():
  """The class whose training texts hold most of a test text's tokens."""
  train, test = data.load("fake_text"), data.load("fake_text", "test")
  counts = np.zeros((10, train.info.vocab))
  for tokens, label in zip(*train.read(range(len(train))).values()):
    np.add.at(counts[label], tokens[tokens > 4], 1)
  tokens, labels = test.read(range(100)).values()
  scores = np.log1p(counts)[:, tokens].sum(-1).T
  assert (scores.argmax(1) == labels).mean() > 0.8


def test_text_begins_with_cls_and_ends_with_padding():
  source = data.load("fake_text", max_len=9, vocab=40)
  tokens = source.read(range(200))["tokens"]
  assert tokens.shape == (200, 9)
  assert (tokens[:, 0] == 2).all()
  assert 5 <= tokens[:, 1:][tokens[:, 1:] > 0].min() <= tokens.max() == 39
  lengths = (tokens > 0).sum(1)
  assert set(lengths) == {5, 6, 7, 8, 9}
  assert all((t[n:] == 0).all() for t, n in zip(tokens, lengths))


def test_normalised_by_its_own_mean_and_std():
  images = data.load("fake").read(range(200))["image"]
  np.testing.assert_allclose(images.mean() / 255, 0.5, atol=0.05)
  np.testing.assert_allclose(images.std() / 255, 0.25, atol=0.05)


def test_tokens_are_learnable():
  """The successors seen in training are those of the test, four a token."""
  train, test = data.load("fake_tokens"), data.load("fake_tokens", "test")
  assert (len(train), train.info.vocab, train.info.num_classes) == (512, 32, 0)
  seen = np.zeros((32, 32), bool)
  tokens = train.read(range(len(train)))["tokens"]
  seen[tokens[:, :-1], tokens[:, 1:]] = True
  assert seen.sum(1).max() <= fake.SUCCESSORS
  tokens = test.read(range(len(test)))["tokens"]
  assert seen[tokens[:, :-1], tokens[:, 1:]].mean() > 0.99
  assert (tokens != train.read(range(len(test)))["tokens"]).any()
  assert tokens.min() == 1  # 0 is for what the vocabulary lacks


def test_tokens_have_a_text():
  source = data.load("fake_tokens", vocab=9)
  example = source[3]
  assert {key: (v.dtype, v.shape) for key, v in example.items()} == {
    "tokens": (np.int32, (16,)),
    "chars": (np.int32, (16,)),
    "scored": (bool, (16,)),
  }
  text = source.tokenizer.decode(example["tokens"])
  assert len(text) == example["chars"].sum() == 16
  np.testing.assert_array_equal(
    data.tokenizer_of("fake_tokens", vocab=9).encode(text), example["tokens"]
  )


@pytest.mark.parametrize(
  ("name", "options", "message"),
  [
    (
      "fake_tokens",
      {"max_len": 2**31 - 1},
      "`size` times `max_len` .* 268435456",
    ),
    ("fake_tokens", {"vocab": 60_000}, "`vocab` must be at most 55040"),
    ("fake", {"shape": (2**15, 2**15, 3)}, "`num_classes` times `shape`"),
    ("fake", {"shape": ("a", 1, 1)}, r"must be \(height, width, channels\)"),
    ("fake_text", {"seed": -1}, "`seed` must be an int of 0 or above: got -1"),
  ],
)
def test_what_cannot_be_made_is_refused(name, options, message):
  with pytest.raises(ValueError, match=message):
    data.load(name, **options)
