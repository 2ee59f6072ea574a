"""Which rows a table has, in which order, and what it says."""

import pytest

from bnnjax.errors import UserError
from bnnjax.report import statistics, table
from tests.report.made_records import make

SPREAD = (-0.01, 0.01, 0.0)


def runs(method, mean, noise=SPREAD, **fields):
  return [
    make(method, seed, mean + x, **fields) for seed, x in enumerate(noise)
  ]


RECORDS = [
  *runs("ste", 0.70), *runs("reste", 0.71, (0.0, -0.01, 0.01)),
  *runs("float", 0.90, (0.01, 0.0, -0.01)),
]  # fmt: skip


def test_rows_in_the_order_of_the_means_with_groups():
  found = table.make(RECORDS, "method")
  assert [row.label for row in found] == ["float", "reste", "ste"]
  assert [row.letters for row in found] == ["a", "b", "b"]
  assert [row.mean for row in found] == pytest.approx([90, 71, 70])
  (section,) = found.sections
  assert section.task == "fashion_mnist, train[:10000], 14 x 14"
  assert section.baseline == "float"
  assert found.rows[0].difference is None
  wanted = statistics.two_way(
    {
      "ste": {0: 69.0, 1: 71.0, 2: 70.0},
      "reste": {0: 71.0, 1: 70.0, 2: 72.0},
      "float": {0: 91.0, 1: 90.0, 2: 89.0},
    }
  ).difference("ste", "float")
  assert found.rows[2].difference.effect == pytest.approx(-20)
  assert found.rows[2].difference.low == pytest.approx(wanted.low)
  assert found.rows[2].difference.high == pytest.approx(wanted.high)


def test_lower_is_better_for_a_loss():
  records = [
    make(m, s, metrics={"loss": loss + 0.1 * s * s})
    for m, loss in (("float", 1.0), ("ste", 3.0))
    for s in range(3)
  ]
  records[1]["metrics"]["loss"] = 1.15
  found = table.make(records, "method")
  assert [(row.label, row.letters) for row in found] == [
    ("float", "a"), ("ste", "b"),
  ]  # fmt: skip
  assert table.make(records, "method", "loss").rows == found.rows


def test_configs_are_rows_by_default():
  found = table.make([*RECORDS, *runs("ste", 0.5, changes={"optim.lr": 1})])
  assert [row.label for row in found] == [
    "net-method=float", "net-method=reste", "net-method=ste",
    "net-method=ste (2)",
  ]  # fmt: skip
  assert found.head == ("config",)


def test_tasks_are_not_pooled():
  other = runs("ste", 0.60, changes={"data.eval_split": "train[50000:]"})
  small = runs("ste", 0.50, changes={"data.train_split": "train[:1000]"})
  found = table.make([*RECORDS, *other, *small], "method")
  assert [len(s.rows) for s in found.sections] == [3, 1, 1]
  assert [row.mean for row in found][2:] == pytest.approx([70, 60, 50])
  assert found.sections[1].notes == ("No intervals: there is one row only.",)


def test_a_row_that_mixes_configs_is_refused():
  records = [*RECORDS, *runs("ste", 0.5, changes={"model.width": 2})]
  with pytest.raises(
    UserError, match=r"row 'ste'.*model\.width \(not given, 2\)"
  ):
    table.make(records, "method")
  found = table.make(records, "method,model.width")
  assert [row.values for row in found][-1] == ("ste", "2")
  assert found.head == ("method", "model.width")


def test_baselines():
  found = table.make(RECORDS, "method", baseline="ste")
  assert [r.difference and round(r.difference.effect) for r in found] == [
    20, 1, None,
  ]  # fmt: skip
  with pytest.raises(UserError, match="Unknown row 'st'. Did you mean 'ste'"):
    table.make(RECORDS, "method", baseline="st")
  wide = runs("float", 0.91, changes={"model.width": 2})
  (section,) = table.make([*RECORDS, *wide]).sections
  assert section.baseline is None
  assert (
    "Several rows are float (net-method=float, net-method=float (2))"
    in (section.notes[-1])
  )


def test_notes_say_what_the_figures_are_not():
  def notes(records, **options):
    return " ".join(table.make(records, "method", **options).sections[0].notes)

  single = [make("ste"), make("float", accuracy=0.9)]
  assert "No intervals: every row has one seed." in notes(single)
  assert table.make(single, "method").rows[1].difference.low is None
  assert "4 degrees of freedom" in notes(RECORDS)
  assert "Several runs of one seed count once, as their mean: ste" in notes(
    [*RECORDS, make("ste", 0, 0.3)]
  )
  assert "Rows lack seeds that others have" in notes(RECORDS[1:])
  apart = [make("fda", s, 0.6 + 0.01 * s * s) for s in (8, 9)]
  assert "not compared" in notes([*RECORDS, *apart])
  assert "ace: not the same for all runs of a row" in notes(
    [*RECORDS[:-1], make("float", 2, 0.89, cost={"ace": 3})]
  )
  best = [make(seed=s, metrics={"best_accuracy": 0.1 * s}) for s in range(2)]
  assert "best on these same examples" in notes(best, metric="best_accuracy")
  loud = runs("fda", 0.5, (-0.4, 0.4, 0.1))
  assert "Bartlett" in notes([*RECORDS, *loud])
  lr = runs("fda", 0.5, changes={"optim.lr": 0.3})
  assert "also differ in optim.lr (0.01, 0.3)" in notes([*RECORDS, *lr])


def test_many_rows_have_no_intervals():
  records = [
    make(f"m{i}", accuracy=i / 1000) for i in range(statistics.MOST_METHODS + 1)
  ]
  found = table.make(records, "method")
  assert len(found) == 501
  (section,) = found.sections
  assert "No intervals: there are more than 500 rows." in section.notes
  text = found.to_markdown()
  assert text.count("\n| `m") == 500
  assert "1 more rows, after these, are not shown: CSV has them" in text
  assert found.to_csv().count("\n") == 502


def test_metrics():
  text = runs("ste", 0.5, metrics={"accuracy": 0.5, "f1": 0.25})
  only = table.make(text, "method", "f1")
  assert only.rows[0].mean == 0.25
  with pytest.raises(UserError, match="'f2'.*'f1'"):
    table.make(text, "method", "f2")
  with pytest.raises(UserError, match="has no metric 'f1'"):
    table.make([*RECORDS, *text], "method", "f1")
  elsewhere = runs("fda", 0.5, changes={"data.name": "digits"})
  assert len(table.make([*text, *elsewhere], "method", "f1").sections) == 1


def test_without_records():
  with pytest.raises(UserError, match="no records"):
    table.make([])
  with pytest.raises(UserError, match="Unknown field 'metod'"):
    table.make(RECORDS, "metod")
