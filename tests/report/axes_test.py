"""Costs of a record, and which runs may share an axis."""

import pytest

from bnnjax.cost import definition_versions
from bnnjax.errors import UserError
from bnnjax.report import axes
from tests.report import pareto_records

ACE = axes.AXES["ace"]


def test_every_axis_reads_its_field():
  [record] = pareto_records.make(
    "a",
    [50],
    ace=7,
    bops=5,
    cost={
      "weight_bytes_by_convention": {"packed": 1, "deployed": 11},
      "bits_per_weight": 1.5,
      "energy_pj": {"45nm": 3_000_000.0},
    },
  )
  record["cpu_seconds"] = 12.5
  read = {name: axis.read(record) for name, axis in axes.AXES.items()}
  assert read == {
    "ace": 7, "bops": 5, "bytes": 11, "bpw": 1.5, "energy": 3.0,
    "cpu_seconds": 12.5,
  }  # fmt: skip


def test_an_older_record_lacks_some():
  [record] = pareto_records.make("a", [50])
  assert axes.AXES["energy"].read(record) is None
  assert axes.AXES["cpu_seconds"].read(record) is None
  for wrong in (float("nan"), 10**400, "12", True):
    record["cost"]["ace"] = wrong
    assert ACE.read(record) is None


def test_an_unknown_axis():
  with pytest.raises(UserError, match="Did you mean 'energy'"):
    axes.axis("enrgy")


def test_every_definition_exists():
  known = definition_versions.text()
  for axis in axes.AXES.values():
    assert not axis.defined or axis.defined in known


def test_different_definitions_do_not_share_an_axis():
  new = pareto_records.make("new", [50], definitions=1)
  text = {"ACE": "something  else", "BOPs": "x"}
  old = pareto_records.make("old", [50], definitions=text)
  with pytest.raises(UserError, match=r"new-seed=0: sum of.*old-seed=0: some"):
    axes.check_definitions(new + old, ACE)
  later = pareto_records.make("later", [50], definitions=99)
  with pytest.raises(UserError, match=r"later-seed=0: not known here"):
    axes.check_definitions(new + later, ACE)
  assert axes.check_definitions(new + old, axes.AXES["cpu_seconds"]) == []


def test_equal_definitions_in_other_words_do():
  now = definition_versions.text()["ACE"].replace(" ", "\n ")
  new = pareto_records.make("new", [50], definitions=1)
  old = pareto_records.make("old", [50], definitions={"ACE": now})
  assert axes.check_definitions(new + old, ACE) == []


def test_a_record_without_a_definition_is_named():
  records = [r for i in range(6) for r in pareto_records.make(f"n{i}", [50])]
  for record in records:
    record["cost"]["definitions"] = None
  assert axes.check_definitions(records, ACE) == [
    "No definition of ACE on record for n0-seed=0, n1-seed=0, n2-seed=0,"
    " n3-seed=0, n4-seed=0 and 1 more."
  ]
