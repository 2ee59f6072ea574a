"""Which rows carry a cost."""

from experiments.published_costs import printed

COLUMNS = "model,cost_metric,cost_value,notes"


def test_reading_leaves_out_unverified_and_empty_rows(tmp_path):
  cells = dict.fromkeys(COLUMNS.split(","), "") | {"cost_metric": "ACE"}
  lines = [
    cells | {"cost_value": "1"},
    cells | {"cost_value": "2", "notes": "UNVERIFIED (recalled)"},
    cells,
    cells | {"cost_metric": ""},
  ]
  text = [COLUMNS, *(",".join(line.values()) for line in lines)]
  path = tmp_path / "published.csv"
  path.write_text("\n".join(text) + "\n")
  rows, unverified, empty = printed.read(path)
  assert ([p.line for p in rows], unverified, empty) == ([2], 1, 1)
