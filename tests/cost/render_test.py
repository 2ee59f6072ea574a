"""Tables, comparison and plot of a report."""

import csv
import io
import sys

import jax
import pytest

from bnnjax.cost import count
from tests.cost.small_network import CONV


def shape(*dims, dtype="float32"):
  return jax.ShapeDtypeStruct(dims, dtype)


@pytest.mark.parametrize("format", ["rich", "markdown", "csv"])
@pytest.mark.parametrize("by", ["layer", "scope", "bits"])
def test_tables_define_their_columns(report, format, by):
  text = report.table(format, by)
  for name, definition in report.definitions.items():
    assert name in text
    assert definition.split(";")[0][:40] in " ".join(text.split())
  assert "ACE" in text
  if by != "bits":
    assert "head" in text


def test_csv_parses(report):
  text = report.table("csv", "layer")
  lines = [x for x in text.splitlines() if not x.startswith("#")]
  rows = list(csv.DictReader(io.StringIO("\n".join(lines))))
  assert sum(int(r["MACs"]) for r in rows) == report.total_macs
  assert sum(int(r["ACE"]) for r in rows) == report.ace


def test_unknown_format_and_grouping(report):
  with pytest.raises(ValueError, match=r"'markdwn'.*Did you mean 'markdown'"):
    report.table("markdwn")
  with pytest.raises(ValueError, match=r"'layers'.*Did you mean 'layer'"):
    report.table("csv", "layers")


def test_compare(report):
  other = count(lambda x, w: x @ w, shape(2, 4), shape(4, 3))
  comparison = report.compare(other)
  table = comparison.to_json()
  assert table["MACs"] == [report.total_macs, 24, 24 / report.total_macs]
  assert table["MACs w1a1"] == [CONV, 0, 0.0]
  assert report.compare(report).to_json()["ACE"][2] == 1.0
  assert other.compare(report).to_json()["BOPs"] == [0, CONV, None]
  assert "net" in comparison.table()
  assert str(comparison) == comparison.table("markdown")


def test_plot(report):
  matplotlib = pytest.importorskip("matplotlib")
  matplotlib.use("Agg")
  from matplotlib.figure import Figure

  ax = report.plot(Figure().subplots())
  assert [t.get_text() for t in ax.get_legend().get_texts()] == [
    "w1a1", "w4a8", "w32a32"
  ]  # fmt: skip
  heights = sum(p.get_height() for p in ax.patches)
  assert heights == report.ace
  with pytest.raises(ValueError, match="Unknown plot metric"):
    report.plot(ax, metric="bytes")


def test_plot_without_matplotlib(report, monkeypatch):
  monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
  with pytest.raises(ImportError, match=r"bnnjax\[plots\]"):
    report.plot()
