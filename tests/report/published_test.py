"""Verdicts by hand; the committed page is fresh; some rows counted again."""

import json
import pathlib
from fractions import Fraction

import pytest

from bnnjax.report import published, published_notes, published_page
from bnnjax.report.published import Count, Published
from bnnjax.report.published_verdict import KINDS, verdict

EXPERIMENTS = pathlib.Path(__file__).parents[2] / "experiments"
ROWS = EXPERIMENTS / "results" / "published.csv"
COUNTS = EXPERIMENTS / "results" / "published_costs.jsonl"
PAGE = EXPERIMENTS / "published_costs.md"
COLUMNS = (
  "model,family,variant,task,dataset,metric,value,unit,cost_metric,cost_value,"
  "cost_unit,params,source,table,notes"
)


def row(value, metric="OPs", unit="1e8", line=2, **more) -> Published:
  cells = dict.fromkeys(COLUMNS.split(","), "") | {
    "model": "net",
    "cost_metric": metric,
    "cost_value": value,
    "cost_unit": unit,
    **more,
  }
  return Published(line, cells)


def judged(p, ours, rows=(), **fields):
  c = Count(p.line, "net", p.metric, Fraction(ours), "net", **fields)
  return verdict(p, c, [p, *rows])


@pytest.mark.parametrize(
  ("value", "unit", "ours", "kind"),
  [
    ("4.222541824", "1e9", 4_222_541_824, "equal"),
    ("0.87", "1e8", 87_126_016, "rounds"),
    ("34", "1e9", 34_714_419_200, "truncates"),
    ("7218", "1e6 (2 per MAC)", 7_218_921_472, "truncates"),
    ("1.39", "1e8", 137_793_536, "differs"),
    # Half way goes up: 22.5 / 0.4 = 56.25, printed 56.3.
    ("56.3", "x", Fraction(225, 4), "rounds"),
    ("56.2", "x", Fraction(225, 4), "truncates"),
    ("44.6", "MiB (labelled MB)", 46_758_048, "rounds"),
    ("97.15", "%", Fraction(9715, 10_000), "equal"),
    ("1.7", "bit", Fraction(17, 10), "equal"),
  ],
)
def test_verdict_follows_the_printed_digits(value, unit, ours, kind):
  assert judged(row(value, "metric", unit), ours).kind == kind


def test_zeros_that_the_csv_lost_count_as_digits():
  source = "arXiv 2003.03488 (table)"
  lost = row("1.2", "FLOPs", source=source)
  assert published.printed(lost) == "1.20"
  assert judged(lost, 118_525_952).kind == "differs"
  assert judged(row("1.2", "FLOPs"), 118_525_952).kind == "rounds"
  assert published.printed(row("10.7", "BOPs", "1e9", source=source)) == "10.7"


def test_three_significant_figures_of_a_whole_number():
  notes = "three significant figures"
  p = row("3700000000.0", "1-bit MACs", "MAC", notes=notes)
  assert published.printed(p) == "3.70e9"
  assert judged(p, 3_699_376_128).kind == "rounds"
  assert judged(p, 3_709_000_000).kind == "truncates"
  assert judged(p, 3_710_000_000).kind == "differs"


def test_columns_of_one_table_that_do_not_fit():
  # Bi-Real-18: 1.68e9 / 64 + 1.39e8 = 1.6525e8, printed 1.63e8.
  columns = [
    row("1.68", "BOPs", "1e9", line=3),
    row("1.39", "FLOPs", "1e8", line=4),
  ]
  others = (("without dense", Fraction(163_473_408)),)
  v = judged(row("1.63"), 163_985_408, columns, others=others)
  assert v.kind == "contradiction"
  assert "BOPs / 64 + FLOPs is 1.6525, not 1.63" in v.text
  assert "without dense: 1.6347, which rounds to it" in v.text
  assert "ours +0.6 %" in v.text
  # What rounding or truncation of the columns allows is no contradiction.
  assert judged(row("1.66"), 170_000_000, columns).kind == "differs"
  # Columns of another source say nothing.
  elsewhere = [row("1.68", "BOPs", "1e9", source="other"), columns[1]]
  assert judged(row("1.63"), 163_985_408, elsewhere).kind == "truncates"


def test_another_convention_is_named_before_truncation():
  others = (("without dense", Fraction(163_473_408)),)
  v = judged(row("1.63"), 163_985_408, others=others)
  assert v.kind == "explained"
  assert "without dense: 1.6347, which rounds to it" in v.text
  # One that does not give the printed number explains nothing, but is shown.
  v = judged(row("1.99"), 163_985_408, others=others)
  assert v.kind == "differs"
  assert v.text == "ours -18 %; without dense: 1.6347"


def test_printed_inputs_allow_a_range():
  p = row("30.25", "energy", "1e9 pJ")
  inside = (Fraction(30_249_000_000), Fraction(30_300_000_000))
  assert judged(p, 30_273_000_000, within=inside).kind == "explained"
  above = (Fraction(30_270_000_000), Fraction(30_300_000_000))
  assert judged(p, 30_273_000_000, within=above).kind == "differs"


def test_a_size_below_what_the_publication_allows():
  p = row("6.8", "model size", "MB")
  v = judged(p, 10 * 2**20, at_least=("a bit each", Fraction(8 * 2**20)))
  assert v.kind == "contradiction"
  assert "a bit each: 8.000, which is more" in v.text


def test_row_without_count_says_what_is_missing():
  p = row("7.8", "ACE", "1e9", model="PokeBNN-1.4x")
  beside = (("PokeBNN-1.25x", Fraction(6_314_000_000)),)
  v = verdict(p, Count(2, "PokeBNN-1.4x", "ACE", others=beside), [p])
  assert v.kind == "missing"
  assert v.text.startswith("neither")
  assert v.text.endswith("PokeBNN-1.25x: 6.314")
  # A range is no number to compare with.
  assert row("30-50", unit="%").number is None


def test_no_row_is_dropped_silently():
  p = row("1.63")
  with pytest.raises(ValueError, match="Line 2 .net, OPs. has no count"):
    published.join([p], [])
  with pytest.raises(ValueError, match="again"):
    published.join([p], [Count(2, "other", "OPs", Fraction(1))])
  with pytest.raises(ValueError, match=r"not rows: \[9\]"):
    published.join([], [Count(9, "net", "OPs", Fraction(1))])


def test_reading_leaves_out_unverified_and_empty_rows(tmp_path):
  cells = dict.fromkeys(COLUMNS.split(","), "") | {"cost_metric": "ACE"}
  lines = [
    cells | {"cost_value": "1"},
    cells | {"cost_value": "2", "notes": "UNVERIFIED (recalled)"},
    cells,
    cells | {"cost_metric": ""},
  ]
  text = [COLUMNS, *(",".join(line.values()) for line in lines)]
  path = tmp_path / "published.csv"
  path.write_text("\n".join(text) + "\n")
  rows, unverified, empty = published.read(path)
  assert ([p.line for p in rows], unverified, empty) == ([2], 1, 1)


def test_a_hypothesis_is_printed_and_changes_no_verdict():
  p = row("1.20", "FLOPs", "1e8")
  guess = ("two more operations", Fraction(120_131_584))
  v = judged(p, 118_525_952, hypotheses=(guess,))
  assert v.kind == "differs"
  assert "hypothesis: two more operations: 1.2013, which rounds to it" in v.text
  wrong = ("three", Fraction(122_000_000))
  assert "three" not in judged(p, 118_525_952, hypotheses=(wrong,)).text


def test_count_survives_json():
  c = Count(
    3,
    "net",
    "OPs",
    Fraction(1, 64),
    "net w1a1",
    others=(("half", Fraction(1, 2)),),
    within=(Fraction(1), Fraction(2)),
    at_least=("why", Fraction(3)),
  )
  assert Count.from_json(json.loads(json.dumps(c.to_json()))) == c
  bare = Count(3, "net", "OPs")
  assert Count.from_json(json.loads(json.dumps(bare.to_json()))) == bare


def test_page_is_what_csv_and_counts_give():
  rows, unverified, empty = published.read(ROWS)
  counts = published.read_counts(COUNTS)
  page = published_page.page(rows, counts, unverified, empty)
  assert PAGE.read_text() == page, "run experiments/published_costs.py"


def test_every_cost_row_has_one_line_and_one_verdict():
  rows, unverified, empty = published.read(ROWS)
  pairs = published.join(rows, published.read_counts(COUNTS))
  kinds = [verdict(p, c, rows).kind for p, c in pairs]
  assert set(kinds) <= set(KINDS)
  assert len(kinds) == len(rows)
  assert len(rows) + unverified == 288
  assert empty == 2
  text = PAGE.read_text()
  lines = [line for line in text.splitlines() if line.count(" | ") == 9]
  headers = len({p.row["family"] for p in rows})
  assert len(lines) == len(rows) + 2 * headers
  assert published.UNVERIFIED not in text


def test_every_note_belongs_to_a_row():
  rows, _, _ = published.read(ROWS)
  tables = (
    published_notes.MISSING,
    published_notes.REASONS,
    published_notes.NOTES,
  )
  for table in tables:
    for key, text in table:
      assert any(
        all(p.row[k].startswith(v) for k, v in key.items()) for p in rows
      ), text


@pytest.fixture(scope="module")
def experiment():
  with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(EXPERIMENTS))
    import published_costs

    yield published_costs


def recounted(experiment, pick):
  """Counts of the rows that `pick` chooses: as committed, and again."""
  rows, _, _ = published.read(ROWS)
  old = {c.line: c for c in published.read_counts(COUNTS)}
  chosen = [p for p in rows if pick(p.row["model"], p.row["variant"])]
  assert chosen
  for p in chosen:
    yield old.get(p.line), experiment.count_row(p, rows)


@pytest.mark.parametrize(
  ("model", "variant"),
  [
    # PokeBNN: tests/cost/golden_test.py
    ("ReActNet-B", "W1A1"),
    ("Bi-RealNet-18", "W1A1"),
    ("QuickNetSmall", ""),
    ("BinaryDenseNet28", ""),
    ("MeliusNet22", ""),
    ("MeliusNet29", "W1A1"),
    ("BiPFT", ""),
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
def test_counted_again_from_the_models(experiment, model, variant):
  for old, new in recounted(
    experiment, lambda *names: names == (model, variant)
  ):
    assert old == new


def test_berts_pooler_at_every_token_is_what_was_printed():
  counts = {
    (c.model, c.metric): c for c in published.read_counts(COUNTS)
  }  # fmt: skip
  (every,) = (
    value
    for name, value in counts["BERT", "FLOPs"].others
    if name == "the pooler at every token"
  )
  # 12 blocks: four projections, an MLP of four times the width, two products.
  block = 4 * 768**2 + 2 * 4 * 768**2 + 2 * 128 * 768
  assert every == 2 * 128 * (12 * block + 768**2)
  assert round(every / 10**9, 1) == 22.5


@pytest.mark.slow
def test_all_counted_again(experiment):
  for old, new in recounted(experiment, lambda *names: True):
    assert old == new
