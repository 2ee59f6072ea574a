"""One writer at a time, whatever ends it; processes without jax."""

import errno
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from bnnjax.train import lock

# Tries once `go` exists; says whether it won, and holds until `done` exists.
RACER = """
import importlib.util, os, sys, time
spec = importlib.util.spec_from_file_location("lock", sys.argv[1])
lock = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lock)
folder, kind, go, done = sys.argv[2:]
if kind == "lease":
  lock.fcntl = None
while not os.path.exists(go):
  time.sleep(0.0005)
try:
  lock.Writer(folder, renew=0.1, stale=0.5).acquire()
  print("won", flush=True)
except lock.WorkdirInUseError as error:
  print(error, flush=True)
while not os.path.exists(done):
  time.sleep(0.01)
"""


def racer(folder, kind, go, done):
  return subprocess.Popen(
    [sys.executable, "-c", RACER, lock.__file__, folder, kind, go, done],
    stdout=subprocess.PIPE,
    text=True,
  )


@pytest.fixture(params=["flock", "lease"])
def kind(request, monkeypatch):
  """Both kinds, also of the writers in this process."""
  if request.param == "lease":
    monkeypatch.setattr(lock, "fcntl", None)
  return request.param


def test_one_at_a_time_and_the_message(tmp_path, kind):
  with lock.Writer(tmp_path) as held:
    held.check()
    with pytest.raises(lock.WorkdirInUseError) as caught:
      lock.Writer(tmp_path).acquire()
  message = str(caught.value)
  assert f"process {os.getpid()} on {os.uname().nodename} since 2" in message
  assert f"The workdir {tmp_path}" in message
  assert "choose another --workdir" in message
  assert "delete" not in message
  with lock.Writer(tmp_path), pytest.raises(ValueError, match="being written"):
    lock.Writer(tmp_path).acquire()


@pytest.mark.parametrize("error", ["ENOLCK", "ENOTSUP", "EOPNOTSUPP"])
def test_a_lease_where_locks_are_not_supported(tmp_path, monkeypatch, error):
  def refuse(*_):
    raise OSError(getattr(errno, error), "no locks here")

  monkeypatch.setattr(lock.fcntl, "flock", refuse)
  with lock.Writer(tmp_path):
    assert (tmp_path / ".lease.1").exists()


def test_a_folder_that_cannot_be_written(tmp_path, kind):
  del kind
  with pytest.raises(ValueError, match="cannot be locked .*--workdir"):
    lock.Writer(tmp_path / "nowhere").acquire()


def test_races_have_one_winner_each(tmp_path, kind):
  """Four processes start at the same moment; a stale lease is a second race."""
  _race(tmp_path, kind, rounds=1 if kind == "flock" else 2)


@pytest.mark.slow
def test_twenty_races(tmp_path, kind):
  for number in range(10):
    (tmp_path / f"{number}").mkdir()
    _race(tmp_path / f"{number}", kind)


def _race(tmp_path, kind, rounds=2):
  go, done = tmp_path / "go", tmp_path / "done"
  teams = []
  for number in range(rounds):
    folder = tmp_path / f"run{number}"
    folder.mkdir()
    if kind == "lease" and number % 2:  # a stale one, taken over
      (folder / ".lease.7").touch()
      os.utime(folder / ".lease.7", (0, 0))
    teams.append([racer(folder, kind, go, done) for _ in range(4)])
  time.sleep(0.5)
  go.touch()
  said = [[p.stdout.readline() for p in team] for team in teams]
  done.touch()
  for team in teams:
    for process in team:
      process.wait()
      process.stdout.close()
  assert [lines.count("won\n") for lines in said] == [1] * rounds
  losers = [x for lines in said for x in lines if x != "won\n"]
  assert all("being written by" in x for x in losers)


def test_a_killed_writer_blocks_nobody_for_long(tmp_path, kind):
  go, done = tmp_path / "go", tmp_path / "done"
  folder = tmp_path / "run"
  folder.mkdir()
  go.touch()
  process = racer(folder, kind, go, done)
  assert process.stdout.readline() == "won\n"
  time.sleep(0.7)  # a lease is alive beyond its time: it is renewed
  with pytest.raises(lock.WorkdirInUseError, match=f"process {process.pid} "):
    lock.Writer(folder, stale=0.5).acquire()
  process.send_signal(signal.SIGKILL)
  process.wait()
  process.stdout.close()
  if kind == "lease":
    time.sleep(0.6)
  with lock.Writer(folder, stale=0.5):
    left = sorted(p.name for p in folder.iterdir())
    assert left == ([".lock"] if kind == "flock" else [".lease.2"])


def test_a_lease_taken_over_is_noticed(tmp_path, monkeypatch):
  monkeypatch.setattr(lock, "fcntl", None)
  sleeper = lock.Writer(tmp_path, renew=60.0).acquire()
  os.utime(tmp_path / ".lease.1", (0, 0))  # it stood still
  with lock.Writer(tmp_path) as other:
    with pytest.raises(lock.WorkdirInUseError, match="stood still"):
      sleeper.check()
    sleeper.close()
    other.check()


def test_who_looked_long_ago_loses(tmp_path, monkeypatch):
  """It makes a number that had been used and removed meanwhile."""
  monkeypatch.setattr(lock, "fcntl", None)
  (tmp_path / ".lease.4").touch()
  real, calls = pathlib.Path.iterdir, []

  def iterdir(self):
    calls.append(self)
    return iter(()) if len(calls) == 1 else real(self)

  monkeypatch.setattr(pathlib.Path, "iterdir", iterdir)
  with pytest.raises(lock.WorkdirInUseError):
    lock.Writer(tmp_path).acquire()
  assert [p.name for p in tmp_path.iterdir()] == [".lease.4"]


def _wait_for(folder):
  for _ in range(100):
    try:
      return lock.Writer(folder).acquire().close()
    except lock.WorkdirInUseError:
      time.sleep(0.05)
  raise AssertionError("The lock is still held.")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_does_not_keep_the_lock(tmp_path):
  """Neither a program that was started nor a fork."""
  code = (
    "import os, subprocess, sys, time\n"
    f"sys.path.insert(0, {os.fspath(pathlib.Path(lock.__file__).parents[2])!r})\n"
    "from bnnjax.train import lock\n"
    f"writer = lock.Writer({os.fspath(tmp_path)!r}).acquire()\n"
    "sleep = [sys.executable, '-c', 'import time; time.sleep(20)']\n"
    "pids = [subprocess.Popen(sleep).pid]\n"
    "pids.append(os.fork())\n"
    "if not pids[1]:\n"
    "  time.sleep(20)\n"
    "  os._exit(0)\n"
    "print(*pids, flush=True)\n"
    "os.kill(os.getpid(), 9)\n"
  )
  parent = subprocess.Popen(
    [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
  )
  children = [int(x) for x in parent.stdout.readline().split()]
  parent.wait()
  parent.stdout.close()
  try:
    for child in children:
      os.kill(child, 0)  # still there
    _wait_for(tmp_path)  # a fork lets go as soon as it runs
  finally:
    for child in children:
      os.kill(child, signal.SIGKILL)
