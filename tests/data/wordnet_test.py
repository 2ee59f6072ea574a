"""WordNet glosses: the embedded part and the full set."""

import hashlib
import lzma
import time

import numpy as np
import pytest

from bnnjax import data
from bnnjax.data import embedded, wordnet, wordpiece
from bnnjax.data.embedded import make_wordnet_mini as maker

needs_full_set = pytest.mark.skipif(
  not (wordnet.DEBIAN_FOLDER / "data.noun").is_file(),
  reason="needs `apt-get install wordnet-base`",
)

# Of the lines `label<tab>gloss`, train before test.
SHA256 = "83af61698cc6d3b6f12054a3bf787c7a521707d31846a960d748e10f78c51335"
# Synsets of WordNet 3.0 by lexicographer file; two classes have hardly any.
SMALL = {"Tops": 51, "motive": 42}


def digest(glosses):
  return hashlib.sha256(lzma.decompress(maker.pack(glosses))).hexdigest()


@pytest.mark.parametrize("split", ["train", "test"])
def test_interface(split):
  source = data.load("wordnet_mini", split, max_len=24)
  info = source.info
  assert (info.name, info.shape, info.num_classes) == (
    "wordnet_mini",
    (24,),
    26,
  )
  assert info.vocab == 4096
  assert info.splits[split] == len(source)
  example = source[0]
  assert example["tokens"].dtype == np.int32
  assert type(example["label"]) is int
  tokens, labels = source.read([3, 0]).values()
  assert tokens.shape == (2, 24)
  assert labels.dtype == np.int32
  np.testing.assert_array_equal(tokens[1], example["tokens"])
  assert labels[1] == example["label"]


def test_tokens_are_those_of_the_text():
  gloss = wordnet.mini()["test"][5]
  example = data.load("wordnet_mini", "test", max_len=40)[5]
  encoder = wordpiece.Tokenizer.from_file(embedded.WORDNET_VOCAB, 40)
  np.testing.assert_array_equal(
    example["tokens"], encoder.encode([gloss.text])[0]
  )
  assert example["label"] == gloss.label
  words = [encoder.entries[t] for t in example["tokens"]]
  assert words[0] == "[CLS]"
  assert "[UNK]" not in words


@pytest.mark.parametrize(("split", "most"), [("train", 600), ("test", 60)])
def test_classes_are_balanced_as_far_as_they_allow(split, most):
  labels = data.load("wordnet_mini", split).labels
  counts = np.bincount(labels, minlength=26)
  assert counts.max() == most
  assert (counts == most).sum() >= 20
  for name, count in SMALL.items():
    assert counts[wordnet.CLASSES.index(name)] <= count


def test_parts_are_nearly_balanced_too():
  part = data.load("wordnet_mini", "train[:50%]")
  counts = np.bincount(part.read(range(len(part)))["label"], minlength=26)
  whole = np.bincount(data.load("wordnet_mini").labels)
  big = whole == 600
  assert (abs(counts[big] / whole[big] - 0.5) < 0.25).all()


def test_no_gloss_is_in_both_splits():
  train, test = ({g.text for g in part} for part in wordnet.mini().values())
  assert not train & test


def test_embedded_contents():
  assert digest(wordnet.mini()) == SHA256
  assert sum(map(len, wordnet.mini().values())) == 15_135  # as messages say


@needs_full_set
def test_full_set_and_that_the_embedded_one_comes_from_it():
  glosses = wordnet.full()
  assert sum(map(len, glosses.values())) == 82_115
  assert digest(maker.select(wordnet.DEBIAN_FOLDER)) == SHA256
  source = data.load("wordnet", "test")
  counts = np.bincount(source.labels)
  assert counts.argmax() == wordnet.CLASSES.index("artifact")
  np.testing.assert_allclose(counts.max() / len(source), 0.141, atol=0.005)
  np.testing.assert_allclose(len(source) / 82_115, 0.1, atol=0.005)


def test_vocabulary_is_that_of_the_training_split():
  entries = embedded.WORDNET_VOCAB.read_text().splitlines()
  texts = [gloss.text for gloss in wordnet.mini()["train"]]
  corpus = " ".join(texts).lower()
  assert len(set(entries)) == maker.VOCAB
  whole = [e for e in entries[len(wordpiece.SPECIAL) :] if e[:2] != "##"]
  assert all(entry in corpus for entry in whole)
  tokens = data.load("wordnet_mini", "test").inputs
  assert not (tokens == wordpiece.SPECIAL.index("[UNK]")).any()


def test_embedded_file_is_small_and_fast():
  assert wordnet.MINI_FILE.stat().st_size < 4e5
  assert embedded.WORDNET_VOCAB.stat().st_size < 4e4
  wordnet.mini.cache_clear()
  start = time.process_time()
  data.load("wordnet_mini")
  assert time.process_time() - start < 5  # 1.1 s; tests share their cores


def test_licence_travels_with_the_data():
  text = wordnet.MINI_FILE.with_name("LICENSE.wordnet").read_text()
  assert "WordNet 3.0 Copyright 2006 by Princeton University" in text
  assert "15,135" in text


LINES = """\
  1 This software and database is being provided to you, the LICENSEE, by
00001740 03 n 01 entity 0 001 ~ 00001930 n 0000 | that which is perceived
02084071 05 n 01 dog 0 000 | a member of the genus Canis; "the dog barked"
07267160 28 n 01 day 0 000 | the time after sunrise
"""


def test_reads_a_folder(tmp_path):
  (tmp_path / "data.noun").write_text(LINES)
  glosses = wordnet.full(tmp_path)
  found = {
    g.text: wordnet.CLASSES[g.label] for p in glosses.values() for g in p
  }
  assert found == {
    "that which is perceived": "Tops",
    'a member of the genus Canis; "the dog barked"': "animal",
    "the time after sunrise": "time",
  }


def test_the_split_is_a_function_of_the_gloss_alone():
  glosses = [wordnet.Gloss(i % 26, f"gloss {i}") for i in range(500)]
  whole = wordnet.by_split(glosses)
  part = wordnet.by_split(reversed(glosses[:300]))
  for split in wordnet.SPLITS:
    assert [g for g in whole[split] if g in glosses[:300]] == list(part[split])
  assert 25 < len(whole["test"]) < 75
  key = hashlib.sha256(whole["test"][0].text.encode()).hexdigest()[:16]
  assert int(key, 16) % 10 == 0


@pytest.mark.parametrize(
  "line",
  [
    "00001740 29 v 01 breathe 0 000 | draw air into the lungs\n",
    "00001740 03 n 01 entity 0 000\n",
    "<html>\n",
    "\n",
  ],
)
def test_refuses_what_is_no_noun(tmp_path, line):
  (tmp_path / "data.noun").write_text(LINES + line)
  with pytest.raises(ValueError, match=r"data.noun, line 5: not a noun of"):
    data.load("wordnet", data_dir=str(tmp_path))


def test_a_cased_vocabulary_of_ones_own(tmp_path):
  path = tmp_path / "vocab.txt"
  letters = "abcdefghijklmnopqrstuvwxyz"
  entries = [*wordpiece.SPECIAL, *letters, *(f"##{c}" for c in letters), "A"]
  path.write_text("\n".join(entries), encoding="utf-8")
  options = {"vocab_file": str(path), "lowercase": False}
  cased = data.load("wordnet_mini", "test", **options)
  assert (cased.inputs == entries.index("A")).any()
  with pytest.warns(UserWarning, match="lowercase=True never reaches .* 'A'"):
    other = data.load("wordnet_mini", "test", **options | {"lowercase": True})
  assert not (other.inputs == entries.index("A")).any()


def test_missing_full_set_says_how_to_get_it(tmp_path):
  with pytest.raises(data.DataNotFoundError) as error:
    data.load("wordnet", data_dir=str(tmp_path))
  message = str(error.value)
  assert "apt-get install wordnet-base" in message
  assert "`data_dir`" in message
  assert "wordnet_mini" in message
  assert "\n" not in message


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"split": "validation"}, "Unknown split of data set 'wordnet_mini'"),
    ({"max_len": 3}, "`max_len` must be at least 5"),
    ({"vocab": "x"}, "Did you mean 'vocab_file'"),
  ],
)
def test_bad_arguments(options, message):
  with pytest.raises(ValueError, match=message):
    data.load("wordnet_mini", **options)
