"""Processes that make batches: the same ones, and gone with their reader."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from bnnjax import data

AUGMENT = ("pad_crop(2)", "flip")


def train(source, **options):
  return data.make_train_iterator(
    source, batch_size=8, seed=0, process_index=0, process_count=1, **options
  )


def assert_same(batch, expected):
  assert batch.keys() == expected.keys()
  for key, value in expected.items():
    np.testing.assert_array_equal(batch[key], value)


def test_worker_processes_make_the_same_batches():
  batches = train(data.load("fake"), augment=AUGMENT, workers=2)
  plain = train(data.load("fake"), augment=AUGMENT)
  for steps in range(3):
    state = json.loads(json.dumps(batches.get_state()))
    # A function of the number of steps and of that of the workers.
    taken = [{"next_index": (steps + 1) // 2}, {"next_index": steps // 2}]
    assert state["iterators_in_use_states"] == taken
    assert state["next_index_in_cycle"] == steps % 2
    batch = next(batches)
    assert_same(batch, next(plain))
    # Not of the memory that is shared with the worker.
    assert {type(value) for value in batch.values()} == {np.ndarray}
  state = json.loads(json.dumps(batches.get_state()))
  expected = next(batches)
  batches.close()
  restored = train(data.load("fake"), augment=AUGMENT, workers=2)
  restored.set_state(state)
  assert_same(next(restored), expected)
  restored.close()


@pytest.mark.slow
@pytest.mark.skipif(
  not pathlib.Path("/proc/self/stat").exists(), reason="reads /proc"
)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_process(tmp_path, number):
  """Also what they have put into shared memory goes."""
  script = tmp_path / "script.py"
  script.write_text(
    textwrap.dedent("""
      import multiprocessing, time
      from bnnjax import data
      if __name__ == "__main__":
        source = data.load("fake", shape=(67, 61, 3), size=64)
        batches = data.make_train_iterator(
          source, batch_size=16, seed=0, workers=2,
          process_index=0, process_count=1,
        )
        next(batches), next(batches)  # of each worker: both have started
        print(*[c.pid for c in multiprocessing.active_children()], flush=True)
        time.sleep(60)
    """)
  )
  process = subprocess.Popen(
    [sys.executable, script],
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    text=True,
  )
  try:
    children = [int(x) for x in process.stdout.readline().split()]
    assert len(children) == 2
    for child in children:  # a signal to all is not for them
      os.kill(child, signal.SIGINT)
      os.kill(child, signal.SIGTERM)
    time.sleep(0.5)
    assert all(map(_runs, children))
  finally:
    process.send_signal(number)
    process.wait()
    process.stdout.close()
  late = time.monotonic() + 10
  while (any(map(_runs, children)) or _shared()) and time.monotonic() < late:
    time.sleep(0.1)
  assert not any(map(_runs, children))
  assert not _shared()


def _runs(pid):
  """Whether a process is there and no zombie."""
  try:
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
  except OSError:
    return False
  return stat.rpartition(")")[2].split()[0] != "Z"


def _shared():
  """Blocks of shared memory of a batch of that test."""
  size = 16 * 67 * 61 * 3 * 4
  found = []
  for block in pathlib.Path("/dev/shm").glob("psm_*"):
    try:
      found += [block] * (block.stat().st_size == size)
    except FileNotFoundError:
      continue
  return found
