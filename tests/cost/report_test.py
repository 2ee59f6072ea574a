"""A report as JSON, and one of nothing."""

import json

import jax
import jax.numpy as jnp
import pytest

from bnnjax.cost import count


def shape(*dims):
  return jax.ShapeDtypeStruct(dims, jnp.float32)


def test_json_round_trips(report):
  data = json.loads(json.dumps(report.to_json(rows=True)))
  assert data["macs"] == report.macs_by_name
  assert data["ace"] == report.ace
  assert data["weight_bytes"] == report.weight_bytes()
  assert data["warnings"] == []
  assert sum(r["macs"] for r in data["rows"]) == report.total_macs
  assert "rows" not in report.to_json()


def test_a_report_without_work():
  report = count(lambda x: x, shape(3))
  assert report.bits_per_weight is None
  assert report.degree_of_binarization is None
  assert report.ace == 0
  assert report.table("rich")
  assert report.to_json()["macs"] == {}


def test_a_figure_that_is_none(report):
  with pytest.raises(AttributeError, match=r"no figure 'acee'.*'ace'"):
    _ = report.acee
