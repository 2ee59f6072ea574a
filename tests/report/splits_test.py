"""Numbers of examples that are known for certain."""

import pytest

from bnnjax.data import digits, fashion_mnist, wordnet
from bnnjax.report import splits
from tests.report.made_records import make


def test_sizes_are_those_of_the_sources():
  assert splits.SIZES["fashion_mnist"] == fashion_mnist.SPLITS
  assert splits.SIZES["fashion_mnist_mini"] == fashion_mnist.MINI_SPLITS
  assert splits.SIZES["wordnet_mini"] == wordnet.MINI_SPLITS
  assert splits.SIZES["digits"] == digits.SPLITS


@pytest.mark.parametrize(
  ("split", "examples"),
  [
    ("test", 10_000),
    ("train[50000:]", 10_000),
    ("train[-100:]", 100),
    ("test[:25%]", 2_500),
    ("test[20:10]", None),
    ("validation", None),
    ("test[", None),
    (None, None),
  ],
)
def test_parts_of_splits(split, examples):
  record = make(changes={"data.eval_split": split})
  assert splits.examples(record) == examples


@pytest.mark.parametrize(
  "changes",
  [
    {"data.name": "my_images"},
    {"data.name": ["a"]},
    {"data.options": {"data_dir": "/mine"}},
    {"task.name": "language_modeling"},
    {"data": None},
    {"task": None},
  ],
)
def test_what_is_not_certain_is_unknown(changes):
  assert splits.examples(make(changes=changes)) is None
