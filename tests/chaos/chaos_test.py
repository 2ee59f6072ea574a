"""A small part of the chaos; `python -m tests.chaos` runs all of it.

Runs are as small as they can be: what matters is what they leave.
"""

import random
import shutil
import signal

import numpy as np
import pytest

from tests.chaos import damage, damaged, flips, processes, runs
from tests.chaos.tally import Tally

SEED = 0


@pytest.fixture(scope="module")
def place(tmp_path_factory):
  return runs.Place(tmp_path_factory.mktemp("chaos"))


@pytest.fixture(scope="module")
def one(place):
  """A run killed while a checkpoint is written, and one that nothing stops."""
  spec = place.spec("mlp", steps=60)
  stopped, whole = place.folder / "stopped", place.folder / "whole"
  assert not runs.call("train", f"--config={spec}", f"--workdir={whole}").status
  process = place.train(spec, stopped)
  processes.wait(process, lambda: _writes_the_second(stopped))
  process.send(signal.SIGKILL)
  assert process.wait() == -signal.SIGKILL
  return damaged.Base(spec, stopped, whole, runs.ending(whole))


def _writes_the_second(workdir):
  saved = workdir / "checkpoints" / "last"
  return processes.has_step(saved, 1) and processes.writing(workdir)


@pytest.fixture
def judged(one, tmp_path):
  tally = Tally()
  judge = damaged.Judge(tally, tmp_path)
  yield tally, judge
  assert not tally.faults


def test_two_at_once_on_a_killed_run(place, one, tmp_path):
  """One is refused, the other ends as if alone."""
  workdir = tmp_path / "run"
  shutil.copytree(one.stopped, workdir)
  both = [place.train(one.spec, workdir) for _ in range(2)]
  went, refused = sorted(both, key=lambda process: process.wait())
  assert (went.wait(), refused.wait()) == (0, 2), [p.said() for p in both]
  assert f"{went.pid}" in refused.err()
  runs.same(one.ending, workdir)


def test_flipped_bits(one, judged):
  """In evaluation, which reads all that other uses read."""
  tally, judge = judged
  chance = random.Random(SEED)
  kept = runs.arrays(runs.step_of(one.whole) / "state")
  for _ in range(3):
    copy = judge.copy(one.whole)
    state = copy / "checkpoints" / "last" / "60" / "state"
    what = flips.flip(flips.read_files(state), chance)
    said = runs.call("eval", f"--workdir={copy}")
    judge.judge(
      what,
      said,
      ("checkpoint",),
      lambda copy=copy: runs.other_array(
        kept, runs.arrays(runs.step_of(copy) / "state")
      ),
    )
  assert tally.good["refused"]


CONFIGS = ("gone", "deep", "not UTF-8", "optim.lr = 0.5")
FOLDERS = ("a stray step", "no state", "last is a file", "half a file")


@pytest.mark.parametrize("name", CONFIGS)
def test_damaged_config(one, judged, name):
  tally, judge = judged
  want = judge.learn(runs.call("eval", f"--workdir={one.whole}"))
  copy = judge.copy(one.whole)
  file = copy / "config.json"
  if name in damage.PLACES:
    damage.PLACES[name](file)
  else:
    file.write_bytes(damage.CONFIGS[name](file.read_bytes()))
  said = runs.call("eval", f"--workdir={copy}")
  same = lambda: "" if said.out.endswith(want.out) else said.out  # noqa: E731
  judge.judge(name, said, ("config",), same)
  assert tally.total == 1


@pytest.mark.parametrize("name", FOLDERS)
def test_damaged_folder(one, judged, name):
  tally, judge = judged
  copy = judge.copy(one.stopped)
  damage.FOLDERS[name](copy)
  said = runs.call("train", f"--config={one.spec}", f"--workdir={copy}")
  judge.judge(
    name,
    said,
    ("checkpoint",),
    lambda: runs.difference(one.ending, runs.ending(copy)),
  )
  assert tally.good["refused"] == 1


def test_every_damage_changes_something(one, place):
  """A way that changes nothing would prove nothing."""
  text, config = place.text.read_bytes(), (one.whole / "config.json")
  line = (one.whole / "record.jsonl").read_bytes()
  metrics = (one.whole / "metrics.jsonl").read_bytes()
  tables = (
    (damage.TEXTS, text),
    (damage.CONFIGS, config.read_bytes()),
    (damage.RECORDS, line),
    (damage.LINES, metrics),
  )
  for table, whole in tables:
    assert not [name for name, way in table.items() if way(whole) == whole]
    made = [way(whole) for way in table.values()]
    assert len({*made}) == len(made)


def test_faults_are_seen(one, judged):
  """The judge sees a bit of an array, a line, another number without a word."""
  tally, judge = judged
  path = next(iter(one.ending.arrays))
  changed = one.ending.arrays[path].copy()
  changed.reshape(-1).view(np.uint8)[0] ^= 1
  other = runs.Ending(
    {**one.ending.arrays, path: changed}, one.ending.lines, []
  )
  assert runs.difference(one.ending, other) == f"array {path}"
  fewer = {**one.ending.lines, "metrics.jsonl": []}
  other = runs.Ending(one.ending.arrays, fewer, [])
  assert "0 lines for" in runs.difference(one.ending, other)
  for said, compare in (
    (runs.Said(0, "", ""), lambda: "array x"),
    (runs.Said(2, "", "Traceback: checkpoint"), str),
    (runs.Said(2, "", "wrong"), str),
    (runs.Said(70, "", "checkpoint"), str),
    (runs.Said(None, "", "", "KeyError"), str),
  ):
    judge.judge("it", said, ("checkpoint",), compare)
  assert len(tally.faults) == 5
  tally.faults.clear()
