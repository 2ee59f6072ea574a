"""Tables in markdown: what records may hold, and where their files lie."""

import json

import pytest

from bnnjax import cli
from bnnjax.report import markers, tables

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
  return tables.refresh(RESULTS, folder)


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("field", ["name", "device"])
def test_text_of_a_record_is_no_markup(tmp_path, field, odd):
  new = refresh(tmp_path, **{field: f"_{odd}_"})
  rows = new.splitlines()[2:-1]  # between head and closing marker
  assert len(rows) == (3 if field == "name" else 2)  # one is a rule
  for row in rows:
    assert row.count("|") == 8
    inside = row.replace("<code>", "").replace("</code>", "")
    assert not set("<>_") & set(inside)
    assert "`" not in inside.replace("`net`", "")
  assert tables.refresh(new, tmp_path) == new


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    ({"config": 3}, "line 2 has 3 as `config`"),
    ({"metrics": {"loss": 1.0}}, "line 2: `metrics.accuracy` must be a number"),
    ({"cost": {"ace": 1}}, "line 2: `cost.bops` must be a number"),
    ({"cost": None}, "line 2 has None as `cost`"),
    ({"wall_seconds": "1"}, "line 2 has '1' as `wall_seconds`"),
    ({"device": None}, "line 2 has None as `device`"),
    ({"name": 1}, "line 2 has 1 as `name`"),
  ],
)
def test_a_record_without_what_a_table_shows(tmp_path, fields, message):
  with pytest.raises(ValueError, match=message):
    refresh(tmp_path, **fields)


def test_markers_stay_inside_the_folder(tmp_path):
  folder = tmp_path / "in"
  folder.mkdir()
  (tmp_path / "r.jsonl").write_text(json.dumps(RECORD) + "\n")
  (folder / "link.jsonl").symlink_to(tmp_path / "r.jsonl")
  for name in ("../r.jsonl", str(tmp_path / "r.jsonl"), "link.jsonl", "a/../r"):
    text = f"<!-- results: {name} -->\n<!-- /results -->\n"
    with pytest.raises(ValueError, match="outside the folder"):
      tables.refresh(text, folder)


def test_a_marker_is_closed_and_there(capsys, tmp_path):
  with pytest.raises(ValueError, match="in line 2 is not closed"):
    markers.replace("\n<!-- methods -->\n", {"methods": str})
  fenced = "```\n<!-- methods -->\n```\n"
  assert markers.replace(fenced, {"methods": str}) == (fenced, 0)
  page = tmp_path / "page.md"
  page.write_text("# nothing\n")
  assert cli.main(["report", str(page)]) == 2
  assert "<!-- results: FILE.jsonl -->" in capsys.readouterr().err
  with pytest.raises(SystemExit):
    cli.main(["report", "-h"])
  assert markers.SYNTAX in capsys.readouterr().out


def test_a_page_without_a_table(tmp_path):
  (tmp_path / "page.md").write_text("# Title\n")
  with pytest.raises(ValueError, match="has no table"):
    tables.refresh("<!-- table: page.md -->\n<!-- /table -->\n", tmp_path)
