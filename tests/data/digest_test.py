"""Digests of sources: another content has another digest, another place not."""

import hashlib
import pickle
import shutil

import ml_dtypes
import numpy as np
import pytest

from bnnjax import data
from bnnjax.data import digest, embedded, sources, wordpiece

TEXT = "No profit grows where is no pleasure ta'en, süß “€” ou naïf:\n\n" * 20


def test_the_same_on_every_machine():
  """Or no run could go on elsewhere."""
  head = b'json 3\n"a"json 1\n1array int16 (2,)\n'
  by_hand = hashlib.sha256(head + b"\x01\x00\x02\x00").hexdigest()[:32]
  assert digest.of("a", 1, np.array([1, 2], "<i2")) == by_hand


def test_numbers_compare_as_numbers():
  one = {"a": (1, 0.5), "b": np.float32(2)}
  assert digest.of(one) == digest.of({"b": 2.0, "a": [1.0, 0.5]})
  assert digest.of(1) != digest.of(True) != digest.of("True")
  assert digest.of(float("inf")) != digest.of(float("nan"))


@pytest.mark.parametrize(
  "other",
  [
    ("ab", "c"), ("abc",), ("a", "b", "c"), (b"a", "bc"), (["a", "bc"],),
    ("a", np.frombuffer(b"bc", np.uint8)),
  ],
)  # fmt: skip
def test_parts_are_not_run_together(other):
  assert digest.of("a", "bc") != digest.of(*other)


def test_arrays_count_by_type_shape_and_bytes():
  x = np.arange(6, dtype=np.float32).reshape(2, 3)
  others = (x.T, x.reshape(6), x.astype(np.int32), x.view(np.int32), -x)
  assert len({digest.of(x), *map(digest.of, others)}) == 6
  assert digest.of(x[:, ::2]) == digest.of(x[:, ::2].copy())
  small = x.astype(ml_dtypes.bfloat16)
  assert digest.of(small) == digest.of(small.copy()) != digest.of(x)
  with pytest.raises(TypeError, match="array of object"):
    digest.of(np.array([None]))


def write(path, text):
  path.write_bytes(text.encode())
  return str(path)


def text_source(path, split="train", **options):
  options = {"max_len": 16, "tokenizer": "bytes", **options}
  return data.load("text_file", split, path=path, **options)


CHANGES = {
  "shuffled": "".join(sorted(TEXT)),
  "halved": TEXT[: len(TEXT) // 2],
  "tenfold": TEXT * 10,
  "longer": TEXT + "!",
  "shorter": TEXT[:-1],
  "first": "M" + TEXT[1:],
  "swapped": TEXT[1] + TEXT[0] + TEXT[2:],
  "upper": TEXT.upper(),
  "line_ends": TEXT.replace("\n", "\r\n"),
  "spaces": TEXT.replace(" ", "\u00a0"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", ["chars", "bytes", "bpe"])
def test_a_changed_text_has_another_digest(change, kind, tmp_path):
  before = text_source(write(tmp_path / "a.txt", TEXT), tokenizer=kind)
  after = text_source(
    write(tmp_path / "b.txt", CHANGES[change]), tokenizer=kind
  )
  assert before.digest() != after.digest()


def test_the_same_text_elsewhere_has_the_same_digest(tmp_path):
  here = write(tmp_path / "a.txt", TEXT)
  there = shutil.copy(here, tmp_path / "b.txt")
  vocab = shutil.copy(embedded.PLAYS_BPE, tmp_path / "bpe.json")
  for options in ({}, {"tokenizer": "chars"}, {"tokenizer": "bpe"}):
    mine = text_source(here, **options)
    theirs = text_source(there, **options)
    if options.get("tokenizer") == "bpe":
      theirs = text_source(there, **options, vocab_file=str(vocab))
    assert mine.digest() == theirs.digest()
    assert mine.vocabulary() == theirs.vocabulary() != ""
    assert pickle.loads(pickle.dumps(mine)).digest() == mine.digest()


def test_windows_and_vocabulary_are_content(tmp_path):
  path = write(tmp_path / "a.txt", TEXT)
  others = (
    {}, {"max_len": 8}, {"tokenizer": "chars"}, {"test_share": 0.2},
  )  # fmt: skip
  test = text_source(path, "test"), text_source(path, "test", context=8)
  found = [text_source(path, **o) for o in others] + list(test)
  assert len({source.digest() for source in found}) == len(found)
  assert test[0].vocabulary() == found[0].vocabulary()


def test_a_part_counts_by_what_it_holds():
  whole = data.load("fashion_mnist_mini", "train")
  tenth = data.load("fashion_mnist_mini", "train[:10%]")
  assert (
    tenth.digest() == data.load("fashion_mnist_mini", "train[0:1000]").digest()
  )
  assert (
    data.load("fashion_mnist_mini", "train[:100%]").digest() == whole.digest()
  )
  assert len({s.digest() for s in (whole, tenth)}) == 2
  for name in ("fake", "plays_mini"):
    some = data.load(name, "train[:50%]"), data.load(name, "train[50%:]")
    assert some[0].digest() != some[1].digest()
    assert data.load(name, "train[:]").digest() == data.load(name).digest()


def arrays(**changes):
  made = {
    "inputs": np.zeros((4, 2, 2, 1), np.uint8),
    "labels": np.arange(4) % 2,
    "info": sources.DatasetInfo("mine", (2, 2, 1), 2, (0.5,), (0.25,)),
  }
  return sources.ArraySource(**{**made, **changes})


def test_arrays_in_memory():
  image = np.zeros((4, 2, 2, 1), np.uint8)
  image[3, 1, 1] = 1
  info = sources.DatasetInfo("mine", (2, 2, 1), 2, (0.5,), (0.5,))
  others = (
    arrays(), arrays(inputs=image), arrays(labels=np.array([0, 1, 1, 0])),
    arrays(info=info),
  )  # fmt: skip
  assert len({source.digest() for source in others}) == 4
  named = sources.DatasetInfo("other", (2, 2, 1), 2, (0.5,), (0.25,))
  assert arrays(info=named).digest() == arrays().digest()


def test_what_tokens_mean_is_content(tmp_path):
  """The same numbers of other words."""
  entries = [*wordpiece.SPECIAL, "a", "b"]
  swapped = [*wordpiece.SPECIAL, "b", "a"]
  one, two = (
    wordpiece.Tokenizer(e, 5, lowercase=True) for e in (entries, swapped)
  )
  assert one.digest() != two.digest()
  tokens = {
    "inputs": np.full((4, 5), 5, np.int32),
    "info": sources.DatasetInfo("mine", (5,), 2, vocab=7),
  }
  sides = [arrays(**tokens, vocabulary=t.digest()) for t in (one, two)]
  assert sides[0].digest() != sides[1].digest()
  assert sides[0].vocabulary() == one.digest()


class Mine(sources.Source):
  """Somebody's source, which says nothing of its content."""

  info = sources.DatasetInfo("mine", (None, None, 1), 3)

  def __init__(self, last=2):
    self.labels = [0, 1, last]

  def __len__(self):
    return 3

  def __getitem__(self, index):
    image = np.full((index + 1, 2, 1), index, np.uint8)
    return {"image": image, "label": self.labels[index]}


def test_by_default_every_example_is_read():
  assert Mine().digest() == Mine().digest() != Mine(last=1).digest()


@pytest.mark.parametrize("name", ["fake", "fake_text", "fake_tokens"])
def test_fakes_count_by_their_options(name):
  made = [
    data.load(name), data.load(name, "test"), data.load(name, seed=1),
    data.load(name, size=8),
  ]  # fmt: skip
  assert len({source.digest() for source in made}) == 4
