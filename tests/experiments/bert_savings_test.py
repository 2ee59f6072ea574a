"""The page on BERT's savings is fresh, and its ratios follow by hand."""

import pathlib
import runpy
import types
from fractions import Fraction

import pytest

FILE = pathlib.Path(__file__).parents[2] / "experiments" / "bert_savings.py"
with pytest.MonkeyPatch.context() as patch:
  patch.syspath_prepend(FILE.parent)  # as of a script
  savings = types.SimpleNamespace(**runpy.run_path(str(FILE)))


def test_page_is_fresh():
  assert savings.PAGE.read_text() == savings.page(), f"run `python {FILE.name}`"


def test_sizes_by_hand():
  """Matrices, word embedding, and 122,112 biases and norms (bytes)."""
  encoder, words, pooler = 12 * 12 * 768**2, 30522 * 768, 768**2
  position, kinds, vectors = 512 * 768, 2 * 768, 122_112
  every = encoder + words + pooler + position + kinds + vectors
  floats = {
    "bibert": position + kinds + vectors,
    # Five estimators, a shift an input and a step a tensor: of 10 in a block
    # (six matrices, q, k, v, probabilities), and of the pooler.
    "bipft": position
    + kinds
    + vectors
    + 12 * (5 * 769 + 5 * 768 + 3072 + 10)
    + 769,
  }
  assert savings.stored("float") == 4 * every
  for method, rest in floats.items():
    low = Fraction(encoder + words + pooler, 8)
    assert savings.stored(method) == low + 4 * rest
  out = (*savings.TABLES, savings.POOLER)
  low = Fraction(encoder + words, 8)
  assert savings.stored("bibert", without=out) == low + 4 * vectors


def test_operations_by_hand():
  block = 128 * 12 * 768**2 + 2 * 128 * 128 * 768
  macs = 12 * block + 768**2
  assert savings.products("float") == 2 * macs
  assert savings.products("bibert") == Fraction(2 * macs, 64)


@pytest.mark.parametrize(
  ("model", "metric", "saving", "name"),
  [
    ("BiBERT", "model size", "31.2", "pooler's matrix left out of the binary"),
    ("BiPFT", "model size", "28", "the rest float"),
  ],
)
def test_one_convention_gives_the_printed_size(model, metric, saving, name):
  (found,) = (
    c
    for c in savings.sizes()
    for p in savings.gives(c, metric)
    if (p.row["model"], p.row["cost_value"]) == (model, saving)
  )
  assert name in found.name
