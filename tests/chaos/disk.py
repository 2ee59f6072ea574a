"""A full disk: a real file system in memory with little room left."""

import contextlib
import functools
import os
import pathlib
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator

from tests.chaos import damaged, processes, runs
from tests.chaos.runs import Fault, Place
from tests.chaos.tally import Tally

SIZE = 64 << 20
LEAST = 4096  # bytes that the first disk has
ROOM = 1 << 18  # enough for a record when the run begins


@contextlib.contextmanager
def mounted(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  """A file system of its own at a folder."""
  folder.mkdir(parents=True, exist_ok=True)
  command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
  subprocess.run(command, check=True)
  try:
    yield folder
  finally:
    subprocess.run(["umount", "-l", str(folder)], check=True)


def free(folder: pathlib.Path) -> int:
  """Bytes that are left."""
  found = os.statvfs(folder)
  return found.f_bavail * found.f_frsize


def fill(folder: pathlib.Path, left: int, name: str = "filler") -> pathlib.Path:
  """A file that leaves this many bytes free."""
  filler = folder / name
  with filler.open("wb") as file:
    os.posix_fallocate(file.fileno(), 0, max(1, free(folder) - left))
  return filler


def full(
  place: Place, chance: random.Random, number: int, tally: Tally
) -> Iterator[int]:
  """Runs on disks with 4 KiB left, with ever more, and with no room to record.

  The run has to say so; with room again the same command ends as if there had
  always been some.
  """
  del chance
  if not sys.platform.startswith("linux") or os.geteuid():
    raise SystemExit("--disk mounts a file system: Linux and root, or --disk 0")
  spec = place.spec("decoder", steps=damaged.STEPS)
  want = processes.reference(place, "decoder", steps=damaged.STEPS)
  with mounted(place.folder / "disk") as disk:
    begin = free(disk)
    place.train(spec, disk / "run").finish()
    needed = begin - free(disk)
    shutil.rmtree(disk / "run")
    for trial in range(number):
      last = trial == number - 1 and number > 1
      share = trial / max(1, number - 1)
      left = LEAST if trial == 0 or last else round(share * needed)
      what = f"{left} bytes left{' for the record' if last else ''}"
      try:
        _one(place, disk, spec, left, want, of_record=last)
        tally.add("refused")
      except Fault as fault:
        tally.faults.append(f"{what}: {fault}")
      for path in disk.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
      shutil.rmtree(place.folder / "elsewhere", ignore_errors=True)
      yield trial + 1


def _one(place, disk, spec, left, want, *, of_record: bool) -> None:
  """A run that meets a full disk, and resumes when there is room."""
  workdir, record = disk / "run", disk / "run" / "record.jsonl"
  if of_record:  # the disk fills up while the run, elsewhere, takes steps
    workdir, record = place.folder / "elsewhere", disk / "all.jsonl"
    left = ROOM
  fillers = [fill(disk, left)]
  process = place.train(spec, workdir, f"--record={record}")
  if of_record:
    saved = workdir / "checkpoints" / "last"
    processes.wait(process, functools.partial(processes.has_step, saved, 1))
    record.write_bytes(b"")
    fillers.append(fill(disk, 0, "more"))
  status, said = process.wait(), " ".join(process.err().split())
  if status != 2:
    raise Fault(f"exit {status}: {process.said()}")
  if "Traceback" in said:
    raise Fault(f"traceback: {said[-600:]}")
  if not any(w in said for w in ("space", "full", "left on the disk")):
    raise Fault(f"does not say that the disk is full: {said[-600:]}")
  for filler in fillers:
    filler.unlink()
  place.train(spec, workdir, f"--record={record}").finish()
  runs.same(want, workdir, record)
