"""The committed page is what the rows and the counts give."""

from bnnjax.report import published
from experiments.published_costs import counts, notes, page, printed
from experiments.published_costs.verdict import KINDS, verdict


def test_page_is_what_csv_and_counts_give():
  rows, unverified, empty = printed.read()
  made = page.page(rows, counts.read(), unverified, empty)
  remedy = "run `python -m experiments.published_costs`"
  assert page.FILE.read_text() == made, remedy


def test_every_cost_row_has_one_line_and_one_verdict():
  rows, unverified, empty = printed.read()
  pairs = counts.join(rows, counts.read())
  kinds = [verdict(p, c, rows).kind for p, c in pairs]
  assert set(kinds) <= set(KINDS)
  assert len(kinds) == len(rows)
  assert len(rows) + unverified == 288
  assert empty == 2
  text = page.FILE.read_text()
  lines = [line for line in text.splitlines() if line.count(" | ") == 9]
  headers = len({p.row["family"] for p in rows})
  assert len(lines) == len(rows) + 2 * headers
  assert published.UNVERIFIED not in text


def test_every_note_belongs_to_a_row():
  rows, _, _ = printed.read()
  tables = (
    notes.MISSING,
    notes.REASONS,
    notes.NOTES,
  )
  for table in tables:
    for key, text in table:
      assert any(
        all(p.row[k].startswith(v) for k, v in key.items()) for p in rows
      ), text
