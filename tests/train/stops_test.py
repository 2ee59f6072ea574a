"""Signals: what they ask of a run, and what the run leaves."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from bnnjax.report import record as record_lib
from bnnjax.train import ema, evaluate, loop, sharding, stops
from bnnjax.train.checkpoint import Checkpoints
from bnnjax.train.plan import Plan
from tests.train.small_runs import lines, stopped, tiny, variables


def without_times(written):
  """Lines of metrics.jsonl without what a clock says."""
  return [
    {k: v for k, v in x.items() if not k.endswith("_per_s")} for x in written
  ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  """A run that nothing disturbed."""
  workdir = tmp_path_factory.mktemp("whole") / "run"
  return workdir, loop.train(config(), workdir)


def config():
  """With diagnostics, an average, a float stage and a binary one."""
  made = tiny()
  made.diagnostics = 3
  made.optim.ema = 0.9
  made.stages = (
    {"until": 4, "model": {"weight": None}},
    {"until": 1.0, "restart": True},
  )
  return made


def test_a_stopped_run_is_saved_and_goes_on_to_the_bit(whole, tmp_path):
  """Stopped inside intervals of log, diagnostics and evaluation, three times.

  Once between two stages.
  """
  error = stopped(config(), tmp_path, 1)
  assert error.exit_code == 143
  assert "SIGTERM at step 1 of 8, saved" in str(error)
  assert stopped(config(), tmp_path, 4, signal.SIGINT).exit_code == 130
  stopped(config(), tmp_path, 5)
  assert Checkpoints(tmp_path, create=False).latest() == 5
  result = loop.train(config(), tmp_path)
  assert result.metrics == whole[1].metrics
  want, got = (
    Checkpoints(w, create=False).info("last")["digests"]
    for w in (whole[0], tmp_path)
  )
  assert want == got
  assert {"params", "rest", "opt", "ema"} <= got.keys()
  for name in ("metrics.jsonl", "diagnostics.jsonl"):
    want, got = (without_times(lines(w, name)) for w in (whole[0], tmp_path))
    assert want == got
  (want,), (got,) = (
    record_lib.read(w / "record.jsonl") for w in (whole[0], tmp_path)
  )
  for part in ("metrics", "weights"):
    assert want[part] == got[part]


def test_the_averaged_network_is_what_a_run_gives(whole):
  """It is evaluated, and what `eval`, `init` and a teacher are given."""
  workdir, result = whole
  np.testing.assert_allclose(
    evaluate.evaluate(workdir)["loss"], result.metrics["loss"], rtol=1e-5
  )
  stage = Plan(config()).stages(8)[-1]
  shapes = sharding.abstract_state(
    stage.network, stage.optimizer, sharding.make_mesh()
  )
  state, *_ = Checkpoints(workdir, create=False).restore(
    "last", ema.begin(stage.network, shapes)
  )
  given, raw, average = (
    x["params"]["layers"][0]["kernel"]
    for x in (variables(config(), workdir), state, state["ema"])
  )
  np.testing.assert_array_equal(given, average)
  assert np.abs(given - raw).max() > 1e-3


def test_checkpoints_between_evaluations(tmp_path):
  made = tiny()
  made.checkpoint.every_steps = 3
  seen = []
  original = Checkpoints.save

  def save(self, kind, step, *rest):
    seen.append((kind, step))
    original(self, kind, step, *rest)

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(Checkpoints, "save", save)
    loop.train(made, tmp_path)
  assert [s for k, s in seen if k == "last"] == [3, 4, 6, 8]


def test_the_first_signal_asks_the_second_ends():
  ended = []
  old = signal.getsignal(signal.SIGTERM)
  with stops.Signals(ended.append) as signals:
    assert not signals.should_stop(1)
    os.kill(os.getpid(), signal.SIGTERM)
    _wait_for(lambda: signals.should_stop(1))
    assert not ended
    os.kill(os.getpid(), signal.SIGTERM)
    _wait_for(lambda: ended == [143])
  assert signal.getsignal(signal.SIGTERM) is old


def test_other_threads_get_no_signals():
  got = []

  def use():
    with stops.Signals() as signals:
      got.append(signals.should_stop(1))

  thread = threading.Thread(target=use)
  thread.start()
  thread.join()
  assert got == [False]


BUSY = """
import hashlib
from bnnjax.train import stops
from bnnjax.train.plan import Plan
with stops.Signals():
  print("ready", flush=True)
  hashlib.pbkdf2_hmac("sha256", b"", b"", 1 << 30)  # as long as a compilation
"""


def test_a_second_signal_ends_what_does_not_return():
  with subprocess.Popen(
    [sys.executable, "-c", BUSY], stdout=subprocess.PIPE, stderr=subprocess.PIPE
  ) as program:
    assert program.stdout.readline() == b"ready\n"
    program.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    program.send_signal(signal.SIGTERM)
    try:
      assert program.wait(timeout=30) == 143
    finally:
      program.kill()
    assert b"SIGTERM: saves after this step" in program.stderr.read()


def _wait_for(condition):
  for _ in range(500):
    if condition():
      return
    time.sleep(0.01)
  raise AssertionError("It does not come true.")
