"""What a record says of the machine and the code."""

import sys

from bnnjax.report import provenance


def test_commit_versions_and_device():
  commit = provenance.git_commit()
  assert commit is None or len(commit.split("-")[0]) == 40
  found = provenance.versions()
  assert found["python"] == sys.version.split()[0]
  assert {"jax", "flax", "numpy"} <= set(found)
  assert provenance.device().endswith(" x cpu")
