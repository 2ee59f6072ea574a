"""Checkpoints: what is stored, read back, and noticed."""

import contextlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.errors import UserError
from bnnjax.train import evaluate, loop
from bnnjax.train.checkpoint import Checkpoints
from tests.train.small_runs import tiny


def test_damaged_checkpoint(finished, tmp_path):
  shutil.copytree(finished[0], tmp_path / "run")
  for file in (tmp_path / "run" / "checkpoints" / "last").rglob("*"):
    if file.is_file() and "state" in file.parts:
      file.write_bytes(b"x")
  for use in (
    lambda: evaluate.evaluate(tmp_path / "run"),
    lambda: loop.train(tiny(), tmp_path / "run"),
  ):
    with pytest.raises(ValueError, match=r"last/8 cannot be read.*starts over"):
      use()


def test_state_and_info_are_read_back(tmp_path):
  state = {"params": {"w": jnp.arange(3.0)}, "rest": {"n": jnp.int32(2)}}
  signs = {"w": jnp.ones(3, jnp.int8)}
  with contextlib.closing(Checkpoints(tmp_path, create=True)) as checkpoints:
    assert checkpoints.latest() is None
    with pytest.raises(UserError, match="No 'last' checkpoint"):
      checkpoints.info("last")
    for step in (1, 2):
      checkpoints.save("last", step, state, {"id": "x"}, signs)
    assert checkpoints.latest() == 2
    assert not (checkpoints.root / "last" / "1").exists()
    got, info, watched = checkpoints.restore("last", state, signs)
    jax.tree.map(np.testing.assert_array_equal, got, state)
    np.testing.assert_array_equal(watched["w"], signs["w"])
    assert info["id"] == "x"
    assert {"params", "rest", "watched"} == info["digests"].keys()
    part = {"rest": state["rest"]}
    got, _, watched = checkpoints.restore("last", part, partial=True)
    assert got == part
    assert watched is None


def test_reading_a_run_logs_nothing(finished, caplog):
  """Opening folders read-only is what was asked for: no reason to warn."""
  with contextlib.closing(Checkpoints(finished[0], create=False)) as stored:
    assert stored.info("last")
  assert not caplog.records


def test_arrays_that_have_changed(tmp_path):
  """The files are whole, and hold other numbers than their digests say."""
  state = {"params": {"w": jnp.arange(3.0)}}
  with contextlib.closing(Checkpoints(tmp_path, create=True)) as checkpoints:
    checkpoints.save("last", 1, state, {"id": "x"})
    other = {"params": {"w": jnp.arange(3.0) + 1}}
    checkpoints.save("best", 1, other, {"id": "x"})
    shutil.rmtree(checkpoints.root / "last" / "1" / "state")
    shutil.copytree(
      checkpoints.root / "best" / "1" / "state",
      checkpoints.root / "last" / "1" / "state",
    )
    with pytest.raises(UserError, match="the arrays of `params` have changed"):
      checkpoints.restore("last", state)
