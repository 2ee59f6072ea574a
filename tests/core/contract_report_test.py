"""What `bx.check` returns: a table, a truth value, an error, HTML."""

import pytest

from bnnjax.core.contract_report import Check, Report
from bnnjax.errors import UserError

GOOD = Check("shape", True, "[8, 8]", "the shape of the tensor")
BAD = Check("sign of zero", False, "0 at 0", "+1", "act")
NONE = Check("scale", None, "it stays float", "values x scale")


def test_a_report_without_a_failure_is_true():
  report = Report("mine", (GOOD, NONE))
  assert report
  assert not report.failed
  assert report.raise_if_failed() is report
  assert (list(report), len(report)) == ([GOOD, NONE], 2)
  assert "mine: 0 of 1 checks failed" in str(report)


def test_a_failure_is_false_and_raises():
  report = Report("mine", (GOOD, BAD))
  assert not report
  assert report.failed == (BAD,)
  with pytest.raises(UserError) as error:
    report.raise_if_failed()
  assert str(error.value) == (
    "mine: 1 of 2 checks failed:\n- sign of zero (act): 0 at 0. Right: +1."
  )


def test_columns_are_aligned():
  assert str(Report("mine", (GOOD, NONE))).splitlines() == [
    "mine: 0 of 1 checks failed",
    "check  result  found           right",
    "-----  ------  --------------  -----------------------",
    "shape  passed  [8, 8]          the shape of the tensor",
    "scale  -       it stays float  values x scale",
  ]


def test_roles_are_named_where_there_are_two():
  text = str(Report("mine", (GOOD, BAD)))
  assert "weight: shape" in text
  assert "act: sign of zero" in text


def test_html_is_escaped():
  odd = Check("<b>", False, "a < b & 'c'", "<script>", "weight")
  html = Report("<i>ü</i>", (odd,))._repr_html_()
  assert "&lt;script&gt;" in html
  assert "a &lt; b &amp;" in html
  assert "<caption>&lt;i&gt;ü&lt;/i&gt;: 1 of 1" in html
  for raw in ("<b>", "<i>", "<script>"):
    assert raw not in html
