"""The lines of published figures, and which of them have been checked."""

from bnnjax.report import published


def test_reading(tmp_path):
  path = tmp_path / "published.csv"
  path.write_text(
    'model,value,notes\nnet,"1,5",\nother,2,UNVERIFIED (recalled)\n'
  )
  first, second = published.read(path)
  assert (first.line, first.row["value"], first.verified) == (2, "1,5", True)
  assert (second.line, second.row["model"], second.verified) == (
    3,
    "other",
    False,
  )


def test_every_figure_names_its_source_and_its_unit():
  rows = published.read()
  assert len(rows) > 600
  for p in rows:
    assert p.row["model"], p.line
    assert p.row["source"], p.line
    assert not p.row["value"] or p.row["metric"], p.line
    assert not p.row["cost_value"] or p.row["cost_metric"], p.line
