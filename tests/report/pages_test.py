"""Tables in markdown: what records may hold, and where their files lie."""

import json

import pytest

from bnnjax import deprecated
from bnnjax.core import registry
from bnnjax.report import pages, record
from tests.report.small_record import make

RECORD = {
  "id": "x",
  "name": "net",
  "config": {},
  "seed": 0,
  "commit": None,
  "versions": {},
  "device": "1 x cpu",
  "metrics": {"accuracy": 0.5},
  "cost": {"ace": 1000, "bops": 64, "weight_bytes": 5},
  "wall_seconds": 90.0,
}
RESULTS = "<!-- results: r.jsonl -->\n<!-- /results -->\n"
ODD = ("<script>", "a\nb", "`c`", "<!-- /results -->", "d|e", "&amp;", "\u2028")


def refresh(folder, **fields):
  line = json.dumps(RECORD | {"id": "y"} | fields)
  (folder / "r.jsonl").write_text(json.dumps(RECORD) + "\n" + line + "\n")
  return pages.refresh(RESULTS, folder)


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("field", ["name", "device"])
def test_text_of_a_record_is_no_markup(tmp_path, field, odd):
  new = refresh(tmp_path, **{field: f"_{odd}_"})
  rows = [line for line in new.splitlines() if line.startswith("|")][2:]
  assert len(rows) == (2 if field == "name" else 1)
  for row in rows:
    assert row.count("|") == 8
    inside = row.replace("<code>", "").replace("</code>", "")
    assert not set("<>_") & set(inside)
    assert "`" not in inside.replace("`net`", "")
  assert pages.refresh(new, tmp_path) == new


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    ({"config": 3}, "line 2 has 3 as `config`"),
    ({"metrics": {"loss": 1.0}}, "tasks with different metrics"),
    ({"metrics": {"accuracy": None}}, "line 2 has None as `metrics.accuracy`"),
    ({"cost": None}, "line 2 has None as `cost`"),
    ({"wall_seconds": "1"}, "line 2 has '1' as `wall_seconds`"),
    ({"device": None}, "line 2 has None as `device`"),
    ({"name": 1}, "line 2 has 1 as `name`"),
  ],
)
def test_a_record_without_what_a_table_shows(tmp_path, fields, message):
  with pytest.raises(ValueError, match=message):
    refresh(tmp_path, **fields)


def test_what_is_no_record_is_not_left_out_in_silence(tmp_path):
  path = tmp_path / "r.jsonl"
  for text, message in (
    (json.dumps(RECORD) + "\n{", "r.jsonl, line 2 is not JSON"),
    ("", "r.jsonl is empty"),
    ('{"benchmark": 1}\n', "r.jsonl holds no records: line 1"),
  ):
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
      pages.refresh(RESULTS, tmp_path)


def test_markers_stay_inside_the_folder(tmp_path):
  folder = tmp_path / "in"
  folder.mkdir()
  (tmp_path / "r.jsonl").write_text(json.dumps(RECORD) + "\n")
  (folder / "link.jsonl").symlink_to(tmp_path / "r.jsonl")
  for name in ("../r.jsonl", str(tmp_path / "r.jsonl"), "link.jsonl", "a/../r"):
    text = f"<!-- results: {name} -->\n<!-- /results -->\n"
    with pytest.raises(ValueError, match="outside the folder"):
      pages.refresh(text, folder)


def test_a_page_without_a_table(tmp_path):
  (tmp_path / "page.md").write_text("# Title\n")
  with pytest.raises(ValueError, match="has no table"):
    pages.refresh("<!-- table: page.md -->\n<!-- /table -->\n", tmp_path)


def test_table_groups_seeds_and_shows_the_spread(tmp_path):
  path = tmp_path / "r.jsonl"
  for seed, accuracy in enumerate((0.8, 0.9)):
    record.append(path, make(f"net-seed={seed}", seed, accuracy))
  record.append(path, make("other", 0, 0.7))
  text = "before\n<!-- results: r.jsonl -->\nold\n<!-- /results -->\nafter\n"
  new = pages.refresh(text, tmp_path)
  assert "| `net` | 85.00 ± 7.07 | 2 |" in new
  assert "| `other` | 70.00 | 1 |" in new
  assert "old" not in new
  assert pages.refresh(new, tmp_path) == new
  with pytest.raises(ValueError, match="does not exist"):
    pages.refresh(text, tmp_path / "nowhere")


def test_a_table_is_copied_from_its_page(tmp_path):
  (tmp_path / "page.md").write_text(
    "# Title\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nText\n\n| other |\n"
  )
  text = "before\n<!-- table: page.md -->\nold\n<!-- /table -->\nafter\n"
  new = pages.refresh(text, tmp_path)
  assert new == (
    "before\n<!-- table: page.md -->\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    "<!-- /table -->\nafter\n"
  )
  assert pages.refresh(new, tmp_path) == new
  with pytest.raises(ValueError, match="does not exist"):
    pages.refresh(text, tmp_path / "nowhere")


def test_methods_are_listed(tmp_path):
  text = "a\n<!-- methods -->\nold\n<!-- /methods -->\nb\n"
  new = pages.refresh(text, tmp_path)
  assert "\nold\n" not in new
  assert new.startswith("a\n")
  assert new.endswith("b\n")
  rows = new.splitlines()[4:-2]
  assert len(rows) == len(registry.registered("method"))


def test_moved_names_are_listed(monkeypatch):
  moved = {"bnnjax.b": ("bnnjax.c", "bnnjax.d"), "bnnjax.a": ("bnnjax.e",)}
  monkeypatch.setattr(deprecated, "MOVED", moved)
  renamed = {"bnnjax.a.Old": "New", "bnnjax.b.old": "new"}
  monkeypatch.setattr(deprecated, "RENAMED", renamed)
  rows = pages.moved_table().splitlines()
  assert rows[2:6] == [
    "| `bnnjax.a` | `bnnjax.e` |",
    "| `bnnjax.b` | `bnnjax.c`, `bnnjax.d` |",
    "| `bnnjax.a.Old` | `bnnjax.e.New` |",
    "| `bnnjax.b.old` | `new` |",
  ]
  git = (
    "bnnjax.report.record.git_commit` | `bnnjax.report.provenance.git_commit"
  )
  assert f"| `{git}` |" in rows[6:]
