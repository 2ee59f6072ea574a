"""`bnnjax list`."""

from bnnjax import cli
from bnnjax.commands.list import KINDS
from bnnjax.core import registry


def run(capsys, *arguments):
  status = cli.main(arguments)
  out, err = capsys.readouterr()
  return status, out, err


def test_list(capsys):
  status, out, _ = run(capsys, "list")
  assert status == 0
  assert "estimator:\n" in out
  assert run(capsys, "list", "estimator")[1].startswith("estimator:\n")
  assert "2308.06689" in run(capsys, "list", "reste")[1]


def test_every_kind_is_described():
  assert set(registry.kinds()) == set(KINDS)
