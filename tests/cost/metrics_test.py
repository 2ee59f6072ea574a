"""Figures by arithmetic, and a new one in its one place."""

import math

import jax
import jax.numpy as jnp
import pytest

from bnnjax.core.bits import tag
from bnnjax.cost import count, definition_versions, metrics
from tests.cost.small_network import BODY, CONV, HEAD


def shape(*dims, dtype="float32"):
  return jax.ShapeDtypeStruct(dims, dtype)


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


def test_a_new_figure_is_typed_in_one_place(report):
  before = dict(metrics.METRICS)

  @metrics.metric("rows", "rows")
  def row_count(r):
    """contractions by pair of widths"""
    return len(r.rows)

  try:
    assert report.row_count == 3
    assert report.to_json()["row_count"] == 3
    assert "rows = 3" in report.table("csv")
    assert "# rows: contractions by pair of widths" in report.table("csv")
    assert report.compare(report).to_json()["rows"] == [3, 3, 1.0]
    assert "| `row_count` | rows | rows | contra" in definition_versions.page()
    assert "row_count" in dir(report)
  finally:
    metrics.METRICS.clear()
    metrics.METRICS.update(before)
  assert not hasattr(report, "row_count")
