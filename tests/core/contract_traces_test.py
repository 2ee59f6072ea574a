"""Checks of programs that are not faults of one line."""

import pytest

from bnnjax.core import contract_traces, registry
from bnnjax.core.contract_subject import subjects
from tests.core import faulty_estimators as faulty


@pytest.fixture(autouse=True)
def _registry():
  with registry.restored():
    yield


def look(check, given):
  (subject,) = subjects(given, None, None)
  subject.variables  # noqa: B018
  return check(subject)


def test_a_schedule_that_changes_nothing():
  still = "reste(o=linear(start=3.0, end=3.0))"
  assert look(contract_traces.schedule, still).passed is False
  assert look(
    contract_traces.schedule, "reste(o=linear(start=1.0, end=3.0))"
  ).passed
  assert look(contract_traces.schedule, "reste(t=1.0)").passed is None


def test_whole_numbers_and_truth_values_are_exact_in_any_dtype():
  made = faulty.make("step", alphabet=(0, 1), forward=lambda x: x >= 0)
  assert look(contract_traces.dtype, made).passed


def test_a_value_that_is_read_in_python():
  made = faulty.make("peeking", forward=lambda x: x if x[0, 0] > 0 else -x)
  found = look(contract_traces.retrace, made)
  assert found == (False, "reads a traced array as a Python number")
