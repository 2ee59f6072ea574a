"""Runs command lines in this process."""

import pytest

from bnnjax import cli


@pytest.fixture
def run(capsys):
  """Gives exit code, output and errors of a command line."""

  def run(*arguments):
    status = cli.main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return status, out, err

  return run
