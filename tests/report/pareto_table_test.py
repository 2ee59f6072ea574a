"""The points as text, CSV and LaTeX."""

import csv
import io

from bnnjax.report import pareto, pareto_table, published
from tests.report import pareto_records

OTHERS = [
  published.Point("Net & Co", 70.5, 2.5e9, published.PRINTED, "a paper", (3,))
]


def found():
  return pareto.make(
    [
      *pareto_records.make("a,b", [50, 52], method="100%_x", bops=3),
      *pareto_records.make("float", [60, 62]),
    ],
    "bops",
  )


def rows(text):
  return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_every_point_also_those_that_are_not_drawn():
  drawn, left_out, other = rows(pareto_table.to_csv(found(), OTHERS))
  assert drawn["runs"] == "a,b"
  assert (drawn["n"], drawn["bits"], drawn["state"]) == ("2", "w1a1", "front")
  assert float(drawn["mean"]) == 51
  assert abs(float(drawn["standard deviation"]) - 2**0.5) < 1e-9
  assert drawn["value of the cost"] == "3"
  assert left_out["runs"] == "float"
  assert left_out["state"] == "not drawn: 0 BOPs, which has no logarithm"
  assert left_out["mean"] == ""
  assert other["task"] == "ImageNet-1k, as published"
  assert (other["mean"], other["value of the cost"]) == ("70.5", "2500000000")
  assert other["source"] == (
    "a paper (ACE printed by the source; lines 3 of published.csv)"
  )


def test_latex():
  text = pareto_table.to_latex(found(), OTHERS)
  assert r"100\%\_x & w1a1 & 2 & 51.00 $\pm$ 1.41 & 3 & front \\" in text
  assert r"Net \& Co & 70.5 & 2.5e+09" in text
  assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
  for table in text.split("\n\n")[1:]:
    cells = [line.count(" & ") for line in table.splitlines() if " & " in line]
    assert len(set(cells)) == 1


def test_text_lists_the_front_and_what_is_not_drawn():
  lines = pareto_table.to_text(found()).splitlines()
  assert lines[:4] == [
    "digits, train",
    "  front  bits  n  accuracy, %   BOPs",
    "  a,b    w1a1  2  51.00 ± 1.41  3",
    "  1 points: 1 on the front, 0 not separated from it, 0 dominated",
  ]
  assert lines[4] == "  not drawn (0 BOPs, which has no logarithm): float"
