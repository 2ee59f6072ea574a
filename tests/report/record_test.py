import json
import multiprocessing

import pytest

from bnnjax.report import record, tables


def make(name="net-seed=0", seed=0, accuracy=0.5):
  return record.Record(
    name=name,
    config={"seed": seed},
    seed=seed,
    metrics={"accuracy": accuracy},
    cost={"ace": 1000, "bops": 10, "weight_bytes": 5},
    wall_seconds=90.0,
  ).to_json()


def _append(path):
  for _ in range(20):
    record.append(path, make() | {"padding": "x" * 5000})


def test_writers_at_the_same_time_do_not_mix(tmp_path):
  path = tmp_path / "deep" / "records.jsonl"
  context = multiprocessing.get_context("spawn")
  workers = [context.Process(target=_append, args=(path,)) for _ in range(2)]
  for worker in workers:
    worker.start()
  for worker in workers:
    worker.join()
  assert len(list(record.read(path))) == 40


def test_record_says_where_the_number_comes_from():
  made = make()
  assert made["commit"] is None or len(made["commit"].split("-")[0]) == 40
  assert {"python", "jax", "flax"} <= set(made["versions"])
  assert made["device"].endswith("cpu")


def test_incomplete_records_are_refused(tmp_path):
  with pytest.raises(ValueError, match="lacks cost"):
    record.append(
      tmp_path / "x", {k: v for k, v in make().items() if k != "cost"}
    )
  (tmp_path / "y").write_text(json.dumps({"id": 1}) + "\n")
  with pytest.raises(ValueError, match="line 1 lacks name"):
    list(record.read(tmp_path / "y"))
  (tmp_path / "z").write_text("{\n")
  with pytest.raises(ValueError, match="line 1: not JSON"):
    list(record.read(tmp_path / "z"))


def test_table_groups_seeds_and_shows_the_spread(tmp_path):
  path = tmp_path / "r.jsonl"
  for seed, accuracy in enumerate((0.8, 0.9)):
    record.append(path, make(f"net-seed={seed}", seed, accuracy))
  record.append(path, make("other", 0, 0.7))
  text = "before\n<!-- results: r.jsonl -->\nold\n<!-- /results -->\nafter\n"
  new = tables.refresh(text, tmp_path)
  assert "| `net` | 85.00 ± 7.07 (n=2) | 1,000 | 10 | 5 | 1.5 |" in new
  assert "| `other` | 70.00 (n=1) |" in new
  assert "old" not in new
  assert tables.refresh(new, tmp_path) == new
  with pytest.raises(ValueError, match="does not exist"):
    tables.refresh(text, tmp_path / "nowhere")


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


def test_a_table_is_copied_from_its_page(tmp_path):
  (tmp_path / "page.md").write_text(
    "# Title\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nText\n\n| other |\n"
  )
  text = "before\n<!-- table: page.md -->\nold\n<!-- /table -->\nafter\n"
  new = tables.refresh(text, tmp_path)
  assert new == (
    "before\n<!-- table: page.md -->\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    "<!-- /table -->\nafter\n"
  )
  assert tables.refresh(new, tmp_path) == new
  with pytest.raises(ValueError, match="does not exist"):
    tables.refresh(text, tmp_path / "nowhere")
