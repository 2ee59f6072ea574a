"""`bnnjax list`."""

from bnnjax.commands.list import KINDS
from bnnjax.core import registry


def test_list(run):
  status, out, _ = run("list")
  assert status == 0
  assert "estimator:\n" in out
  assert run("list", "estimator")[1].startswith("estimator:\n")
  assert "2308.06689" in run("list", "reste")[1]


def test_every_kind_is_described():
  # Events are registered by users only, or by another test.
  assert {*registry.kinds()} - {"event"} == set(KINDS)
