"""A run that the tests of several modules read, and none changes."""

import pytest

from bnnjax.train import loop
from tests.train.small_runs import tiny


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
  """Workdir and result of a run that nothing disturbed."""
  workdir = tmp_path_factory.mktemp("finished") / "run"
  return workdir, loop.train(tiny(), workdir, name="tiny-seed=0")
