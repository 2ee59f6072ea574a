"""Verdicts by hand."""

from fractions import Fraction

import pytest

from experiments.published_costs import printed
from experiments.published_costs.counts import Count
from experiments.published_costs.printed import Cost
from experiments.published_costs.verdict import verdict


def row(value, metric="OPs", unit="1e8", line=2, **more) -> Cost:
  columns = ("family", "variant", "source", "table", "notes")
  cells = dict.fromkeys(columns, "") | {
    "model": "net",
    "cost_metric": metric,
    "cost_value": value,
    "cost_unit": unit,
    **more,
  }
  return Cost(line, cells)


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
  assert printed.text(lost) == "1.20"
  assert judged(lost, 118_525_952).kind == "differs"
  assert judged(row("1.2", "FLOPs"), 118_525_952).kind == "rounds"
  assert printed.text(row("10.7", "BOPs", "1e9", source=source)) == "10.7"


def test_three_significant_figures_of_a_whole_number():
  notes = "three significant figures"
  p = row("3700000000.0", "1-bit MACs", "MAC", notes=notes)
  assert printed.text(p) == "3.70e9"
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


def test_a_hypothesis_is_printed_and_changes_no_verdict():
  p = row("1.20", "FLOPs", "1e8")
  guess = ("two more operations", Fraction(120_131_584))
  v = judged(p, 118_525_952, hypotheses=(guess,))
  assert v.kind == "differs"
  assert "hypothesis: two more operations: 1.2013, which rounds to it" in v.text
  wrong = ("three", Fraction(122_000_000))
  assert "three" not in judged(p, 118_525_952, hypotheses=(wrong,)).text
