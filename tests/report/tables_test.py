"""Rows of a table: which records they hold, and what they show."""

import pytest

from bnnjax.report import record, tables
from tests.report.small_record import make


def test_figures_of_the_weights_are_columns_where_records_have_them():
  made = make() | {
    "cost": {
      "ace": 1000, "bops": 64, "weight_bytes": 5,
      "bits_per_weight": 2.7, "degree_of_binarization": 0.5,
      "weight_bytes_by_convention": {"deployed": 1234},
    }
  }  # fmt: skip
  table = tables.markdown({"net": [made]})
  assert "| weight bytes | bpw | binarized, % |" in table
  assert "| 5 | 2.70 | 50.00 |" in table
  table = tables.markdown({"net": [made]}, tables.TEXT_COLUMNS)
  assert "| weight bytes, deployed | bpw | binarized, % |" in table
  assert "| 1,234 | 2.70 | 50.00 |" in table


def test_superseded_records_are_left_out_of_tables(tmp_path):
  path, (old, new) = tmp_path / "r.jsonl", (make(accuracy=0.3), make())
  record.append(path, old)
  record.append(path, {**new, "supersedes": [old["id"]]})
  found = list(record.read(path))
  assert [r["id"] for r in record.current(found)] == [new["id"]]
  assert "50.00 (n=1)" in tables.markdown(tables.group(found))
  for wrong in (3, "id", [1]):
    with pytest.raises(ValueError, match="a list of ids is wanted"):
      record.append(path, {**make(), "supersedes": wrong})


def test_records_of_before_a_field_was_there_group_with_new_ones():
  old = {"name": "x-seed=0", "config": {"seed": 0, "model": {"a": 1}}}
  new = {
    "name": "x-seed=1",
    "config": {"seed": 1, "model": {"a": 1}, "checkpoint": {"steps": 0}},
  }
  other = {"name": "x-seed=2", "config": {"seed": 2, "model": {"a": 1, "b": 2}}}
  found = tables.group([old, new, other])
  assert {k: len(v) for k, v in found.items()} == {"x": 2, "x (2)": 1}
