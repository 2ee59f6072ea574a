"""Costs on record are those of the counter as it is."""

import json
import pathlib

import pytest

from bnnjax.report import record as record_lib

ROOT = pathlib.Path(__file__).parents[2] / "experiments"
RESULTS = ROOT / "results"


@pytest.fixture(scope="module")
def recount():
  with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(ROOT))
    import recount

    yield recount


# A convolution, a sign's bounds, a language model, attention.
@pytest.mark.parametrize(
  ("file", "name"),
  [
    ("ablation", "fashion_mnist_resnet-method=ste-seed=0"),
    ("fashion_mnist_mini_pokebnn", "fashion_mnist_mini_pokebnn-seed=0"),
    ("plays_lm", "plays_lm-method=bi_mamba-seed=0"),
    ("wordnet_bert", "wordnet_bert-method=float-full-seed=0"),
  ],
)
def test_recounted_records_are_up_to_date(recount, file, name):
  records = list(record_lib.read(RESULTS / f"{file}.jsonl"))
  (old,) = (r for r in records if r["name"] == name)
  record = json.loads(json.dumps(old))
  recount.recount([record], "now")
  assert record == old, "run `python experiments/recount.py`"
  assert old["recounted"]


def test_a_stale_cost_is_replaced_and_nothing_else(recount):
  records = list(record_lib.read(RESULTS / "ablation.jsonl"))
  old = next(r for r in records if r["name"].endswith("method=float-seed=0"))
  stale = old | {"cost": {"ace": 1}}
  recount.recount([stale], "abc")
  assert stale == old | {"recounted": "abc"}


def test_page_shows_before_and_now(recount):
  rows = json.loads(recount.FIGURES.read_text())
  assert recount.PAGE.read_text() == recount.page(rows)
  assert all({"before", "now"} <= set(row) for row in rows.values())
  now = dict.fromkeys(recount.COLUMNS, 1)
  row = {"before": now | {"ACE": 2000}, "now": now}
  lines = recount.page({"a": row, "b": {"now": now}}).splitlines()[-2:]
  assert [line.count("→") for line in lines] == [1, 0]
  assert "| 2,000 → 1 |" in lines[0]


def test_every_row_of_a_file_is_on_the_page(recount):
  rows = json.loads(recount.FIGURES.read_text())
  found = [name.partition(":")[0] for name in rows]
  for path, _ in recount.files():
    assert path.stem in found
  assert set(found) >= {
    f"configs/{n.partition(':')[0]}" for n in recount.CONFIGS
  }
