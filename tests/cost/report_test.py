"""Figures by arithmetic, tables, JSON, comparison, plot."""

import csv
import io
import json
import math
import sys

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from bnnjax.core.bits import tag
from bnnjax.cost import count


def shape(*dims):
  return jax.ShapeDtypeStruct(dims, jnp.float32)


def net(x, k, w, head):
  with jax.named_scope("conv"):
    x = lax.conv_general_dilated(
      tag(x, 1), tag(k, 1), (1, 1), "VALID",
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
  x = x.mean((1, 2))
  with jax.named_scope("body"):
    x = tag(x, 8) @ tag(w, 4)
  with jax.named_scope("head"):
    return x @ head


CONV, BODY, HEAD = 4 * 4 * 8 * 9 * 3, 8 * 8, 8 * 5
SHAPES = shape(1, 6, 6, 3), shape(3, 3, 3, 8), shape(8, 8), shape(8, 5)


@pytest.fixture(scope="module")
def report():
  return count(net, *SHAPES, params=(1, 2, 3))


def test_figures(report):
  assert report.macs == {(1, 1): CONV, (4, 8): BODY, (32, 32): HEAD}
  assert report.macs_by_name == {"w1a1": CONV, "w4a8": BODY, "w32a32": HEAD}
  assert report.total_macs == CONV + BODY + HEAD
  assert report.conv_ace == CONV
  assert report.dense_ace == 32 * BODY + 256 * HEAD
  assert report.ace == report.conv_ace + report.dense_ace
  assert report.bops == CONV
  assert report.flops == BODY + HEAD
  assert report.ops == CONV / 64 + BODY + HEAD
  assert report.ops_x64 == CONV + 64 * (BODY + HEAD)
  assert report.bit_operations == CONV + 32 * BODY + 1024 * HEAD
  assert report.compute_cost_linear == 4 * CONV + 8 * BODY + 16 * HEAD
  assert report.weights_by_bits == {1: 216, 4: 64, 32: 40}


def test_uniq_adds_the_accumulator(report):
  expected = (
    CONV * (1 + 1 + 1 + math.log2(27))
    + BODY * (32 + 4 + 8 + 3)
    + HEAD * (1024 + 32 + 32 + 3)
  )
  assert report.bit_operations_uniq == pytest.approx(expected, rel=1e-12)


def test_cpu64_rules(report):
  assert report.cpu64_x64() == CONV + 8 * BODY + 64 * HEAD
  assert report.cpu64("product") * 64 == CONV + 32 * BODY + 64 * HEAD
  assert report.cpu64_x64(lambda w, a: 1) == report.total_macs
  with pytest.raises(ValueError, match=r"Unknown CPU64 rule 'maxx'.*'max'"):
    report.cpu64("maxx")


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


def test_json_round_trips(report):
  data = json.loads(json.dumps(report.to_json(rows=True)))
  assert data["macs"] == report.macs_by_name
  assert data["ace"] == report.ace
  assert data["weight_bytes"] == report.weight_bytes()
  assert data["warnings"] == []
  assert sum(r["macs"] for r in data["rows"]) == report.total_macs
  assert "rows" not in report.to_json()


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


def test_bits_per_weight_and_degree_of_binarization():
  def f(w, v, scale, x):
    return x @ tag(jnp.sign(w), 1) * scale, tag(jnp.sign(x), 1) @ tag(v, 1)

  shapes = shape(64, 8), shape(64, 2), shape(8), shape(4, 64)
  report = count(f, *shapes, params=(0, 1, 2))
  # Ten rows of two words, and a float a column, over 640 weights.
  assert report.bits_per_weight == (10 * 64 + 8 * 32) / 640
  binary, low = 4 * 64 * 2, 4 * 64 * 8
  assert report.degree_of_binarization == binary / (binary + 64 * low)
  data = report.to_json()
  assert data["bits_per_weight"] == report.bits_per_weight
  assert data["degree_of_binarization"] == report.degree_of_binarization
  assert "bpw = 1.4" in report.table("csv")


def test_a_report_without_work():
  report = count(lambda x: x, shape(3))
  assert report.bits_per_weight is None
  assert report.degree_of_binarization is None
  assert report.ace == 0
  assert report.table("rich")
  assert report.to_json()["macs"] == {}


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


def test_elementwise_work_has_its_own_line(report):
  # The mean: 16 pixels x 8 channels, then one division by a constant.
  assert report.elementwise == {"affine": 8, "reduce_sum": 128}


def test_batch_norm_folds_to_one_multiply_add():
  def f(x, mean, var, gamma, beta):
    with jax.named_scope("batch_norm"):
      return (x - mean) * (gamma * lax.rsqrt(var + 1e-5)) + beta

  c = shape(8)
  report = count(f, shape(4, 8), c, c, c, c, params=(1, 2, 3, 4))
  assert report.elementwise == {"affine": 32}
  assert report.scalar_operations("batch_norm") == 32


def test_fixed_affine_work_counts_once_per_scope():
  def f(x, a, b):
    with jax.named_scope("one"):
      x = x * a
    with jax.named_scope("two"):
      x = x + b
    return jnp.maximum(x, 0) * a

  report = count(f, shape(4, 8), shape(8), shape(8), params=(1, 2))
  assert report.elementwise_by_scope == {
    "one": {"affine": 32},
    "two": {"affine": 32},
    "": {"max": 32, "affine": 32},
  }


def test_pooling_counts_window_times_outputs():
  def f(x):
    return lax.reduce_window(x, 0.0, lax.add, (2, 2), (2, 2), "VALID")

  assert count(f, shape(4, 4)).elementwise == {"reduce_window_sum": 16}


def test_activation_memory():
  def chain(x, w):
    return jnp.tanh(jnp.tanh(x @ w) @ w)

  # Weights are not activations; tanh is done in place; x @ w needs both ends.
  report = count(chain, shape(2, 8), shape(8, 8), params=1)
  assert report.activation_bytes() == 2 * 8 * 4 * 2
  wide = count(lambda x: (x[:, None] + x[None]).sum(), shape(8))
  assert wide.activation_bytes() >= 8 * 8 * 4


def test_activation_memory_of_tagged_arrays():
  def f(x, w):
    a = tag(jnp.sign(x), 1)
    return a @ w, a @ (2 * w)

  report = count(f, shape(64, 8), shape(8, 1), params=1)
  assert report.activation_bytes(deployed=True) < report.activation_bytes()


def test_activation_memory_of_a_scan_is_that_of_a_step():
  def f(x, ws):
    return lax.scan(lambda c, w: (jnp.tanh(c @ w), None), x, ws)[0]

  peaks = [
    count(f, shape(2, 8), shape(n, 8, 8), params=1).activation_bytes()
    for n in (2, 20)
  ]
  assert peaks[0] == peaks[1]
