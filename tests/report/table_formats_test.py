"""Markdown, CSV, LaTeX and HTML of a table, whatever its names hold."""

import csv
import html.parser
import io
import re

import pytest

from bnnjax.report import table, table_formats
from tests.report.made_records import make

ODD = r"a|b_<script>&%$#{}~^\[x] ±é中`*"


def made(*methods):
  return table.make(
    [
      make(m, s, 0.5 + 0.1 * i + 0.01 * ((s + i) % 2))
      for i, m in enumerate(methods)
      for s in range(3)
    ],
    "method",
  )


def cells(line):
  return [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_markdown():
  text = made("ste", "float").to_markdown()
  assert text.startswith("**fashion_mnist, train[:10000], 14 x 14**\n\n")
  head, rule, first, second = (
    cells(line) for line in text.splitlines() if line.startswith("|")
  )
  assert head == [
    "method", "accuracy, %", "n", "groups", "difference to float", "test s.e.",
    "bits", "ACE", "BOPs", "bytes", "bpw", "energy, uJ", "wall s", "device",
  ]  # fmt: skip
  assert len(rule) == len(head) == len(first) == len(second)
  assert first[:5] == ["`float`", "60.67 ± 0.58", "3", "a", ""]
  assert second[6:] == [
    "w1a1", "26,500", "900", "40", "1.50", "2", "60", "1 x cpu",
  ]  # fmt: skip
  assert re.fullmatch(r"-10\.33 \[-\d+\.\d\d, -\d+\.\d\d\]", second[4])
  assert "- ACE: multiply-accumulates" in text


def test_odd_names_stay_in_their_cell():
  found = made(ODD, "float")
  widths = {
    len(cells(line))
    for line in found.to_markdown().splitlines()
    if line.startswith("|")
  }
  assert widths == {14}
  assert "<script>" not in found.to_markdown()
  assert "<script>" not in found._repr_html_()


def test_csv_holds_plain_numbers():
  found = made(ODD, "float")
  rows = list(csv.DictReader(io.StringIO(found.to_csv())))
  assert [r["method"] for r in rows] == ["float", ODD]
  assert rows[0]["groups"] == "a"
  assert float(rows[1]["mean"]) == pytest.approx(50.333333, abs=1e-6)
  assert float(rows[1]["difference"]) == pytest.approx(-10.333333)
  assert rows[0]["difference"] == ""
  assert (rows[1]["ace"], rows[1]["cpu_seconds"]) == ("26500", "")
  assert list(rows[0]) == ["task", "method", *table_formats.CSV[1:]]


def test_latex_is_escaped():
  text = made(ODD, "float").to_latex()
  (line,) = (x for x in text.splitlines() if x.startswith("a\\textbar"))
  assert line.startswith(
    r"a\textbar{}b\_\textless{}script\textgreater{}\&\%\$\#\{\}"
    r"\textasciitilde{}\textasciicircum{}\textbackslash{}{[}x] $\pm$é中"
  )
  body = [x for x in text.splitlines() if x.endswith(r"\\")]
  assert {len(re.findall(r"(?<!\\)&", x)) for x in body} == {13}
  assert text.count(r"\begin{tabular}{lrrrrrrrrrrrrr}") == 1
  assert r"accuracy, \%" in text


def test_a_line_break_does_not_end_a_comment_of_latex():
  records = [make(changes={"data.name": "x\n\\input{y}"})]
  lines = table.make(records).to_latex().splitlines()
  assert lines[0] == r"% x \input{y}, train[:10000], 14 x 14"


def test_html_is_well_formed():
  opened, tags = [], []

  class Parser(html.parser.HTMLParser):
    def handle_starttag(self, tag, attrs):
      opened.append(tag)
      tags.append(tag)

    def handle_endtag(self, tag):
      assert opened.pop() == tag

  Parser().feed(made(ODD, "float")._repr_html_())
  assert opened == []
  assert (tags.count("tr"), tags.count("td")) == (3, 28)


def test_the_columns_of_a_loss():
  records = [
    make(m, s, metrics={"loss": 0.5 + 0.01 * s * i + i})
    for i, m in enumerate(("float", "ste"))
    for s in range(2)
  ]
  line = table.make(records, "method").to_markdown().splitlines()[4]
  assert cells(line)[:2] == ["`float`", "0.500 ± 0.000"]
