"""Committed figures are what the models of today give."""

import pytest

from experiments.published_costs import counts, figures, printed


def recounted(pick):
  """Counts of the rows that `pick` chooses: as committed, and again."""
  rows, _, _ = printed.read()
  old = {c.line: c for c in counts.read()}
  chosen = [p for p in rows if pick(p.row["model"], p.row["variant"])]
  assert chosen
  for p in chosen:
    yield old.get(p.line), figures.count_row(p, rows)


@pytest.mark.parametrize(
  ("model", "variant"),
  [
    # PokeBNN: tests/cost/golden_test.py; BiPFT: ../bert_savings_test.py
    ("ReActNet-B", "W1A1"),
    ("Bi-RealNet-18", "W1A1"),
    ("QuickNetSmall", ""),
    ("BinaryDenseNet28", ""),
    ("MeliusNet22", ""),
    ("MeliusNet29", "W1A1"),
    ("OneBit-OPT 1.3B", "1.02 bit"),
    ("BitNet b1.58 700M", "1.59 bit"),
    ("BinaryAlexNet", ""),
    ("ResNet18", "W4A4"),
    ("BiBERT 4L", "1-1-1"),
    ("EcoFormer PVTv2-B3", ""),
    ("PB-LLM LLaMA-7B", "1.7 bit"),
    ("PTQ1.61", "1.61 bit"),
    ("FBI-LLM 130M", "1.01 bit"),
  ],
)
def test_counted_again_from_the_models(model, variant):
  for old, new in recounted(lambda *names: names == (model, variant)):
    assert old == new


def test_berts_pooler_at_every_token_is_what_was_printed():
  found = {(c.model, c.metric): c for c in counts.read()}
  (every,) = (
    value
    for name, value in found["BERT", "FLOPs"].others
    if name == "the pooler at every token"
  )
  # 12 blocks: four projections, an MLP of four times the width, two products.
  block = 4 * 768**2 + 2 * 4 * 768**2 + 2 * 128 * 768
  assert every == 2 * 128 * (12 * block + 768**2)
  assert round(every / 10**9, 1) == 22.5


@pytest.mark.slow
def test_all_counted_again():
  for old, new in recounted(lambda *names: True):
    assert old == new
