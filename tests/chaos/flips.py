"""Flipped bits in the files of checkpoints: refused, or the same arrays."""

import pathlib
import random
import shutil
from collections.abc import Iterator

from tests.chaos import damaged, runs
from tests.chaos.runs import Place
from tests.chaos.tally import Tally

USES = ("eval", "best", "train", "eval", "init", "eval", "best", "teacher")
STEPS = 20  # of a run that begins with, or learns from, another


def read_files(folder: pathlib.Path) -> list[pathlib.Path]:
  """The files that the arrays of a checkpoint cannot do without.

  The others are of arrays that a later file has taken over: nobody reads them.
  """
  found = []
  for file in sorted(p for p in folder.rglob("*") if p.is_file()):
    if "d" not in file.relative_to(folder).parts:
      continue
    whole = file.read_bytes()
    file.unlink()
    try:
      runs.arrays(folder)
    except Exception:  # orbax and tensorstore raise whatever
      found.append(file)
    file.write_bytes(whole)
  return found


def flip(files: list[pathlib.Path], chance: random.Random) -> str:
  """Flips a bit of one of the files; returns which."""
  sizes = [file.stat().st_size for file in files]
  (file,) = chance.choices(files, sizes)
  data = bytearray(file.read_bytes())
  place = chance.randrange(len(data))
  data[place] ^= 1 << chance.randrange(8)
  file.write_bytes(data)
  return f"{'/'.join(file.parts[-4:])} byte {place}"


def _files(step: pathlib.Path, chance: random.Random) -> list[pathlib.Path]:
  """Mostly files of arrays, else any file of a checkpoint."""
  if chance.random() < 0.8:
    return read_files(step / "state")
  return [p for p in step.rglob("*") if p.is_file() and p.stat().st_size]


def flips(
  place: Place, chance: random.Random, number: int, tally: Tally
) -> Iterator[int]:
  """A flip before each use of a checkpoint, in turn."""
  judge = damaged.Judge(tally, place.folder)
  one = damaged.base(place, "mlp")
  judge.go_on(one)
  for kind in ("last", "best"):
    judge.learn(
      runs.call("eval", f"--workdir={one.whole}", f"--checkpoint={kind}")
    )
  wanted = {
    use: _begun(place, judge, use, one.whole) for use in ("init", "teacher")
  }
  kept = {
    kind: runs.arrays(runs.step_of(one.whole, kind) / "state")
    for kind in ("last", "best")
  }
  for done in range(1, number + 1):
    use = USES[done % len(USES)]
    copy = judge.copy(one.stopped if use == "train" else one.whole)
    kind = "best" if use == "best" else "last"
    what = f"{use}: {flip(_files(runs.step_of(copy, kind), chance), chance)}"
    if use in wanted:
      made = place.folder / use
      shutil.rmtree(made, ignore_errors=True)
      said = _call(place, made, use, copy)
      compare = lambda made=made, use=use: _other(wanted[use], made)  # noqa: E731
    elif use == "train":
      said = runs.call("train", f"--config={one.spec}", f"--workdir={copy}")
      compare = lambda copy=copy: runs.difference(  # noqa: E731
        one.ending, runs.ending(copy)
      )
    else:
      said = runs.call("eval", f"--workdir={copy}", f"--checkpoint={kind}")
      # Numbers of four digits do not show a bit: what is read does.
      compare = lambda copy=copy, kind=kind: _reread(  # noqa: E731
        kept[kind], one.whole, copy, kind
      )
    judge.judge(what, said, ("checkpoint", str(copy)), compare)
    yield done


def _reread(kept, whole, copy, kind) -> str:
  """Compares the arrays of a checkpoint, read by other code than the run's."""
  place = runs.step_of(copy, kind) / "state"
  # Our reader needs this file; the commands place arrays as they like.
  shutil.copy(runs.step_of(whole, kind) / "state" / "_sharding", place)
  return runs.other_array(kept, runs.arrays(place))


def _call(place, workdir, use, source) -> runs.Said:
  spec = place.spec("mlp", steps=STEPS, **{use: source})
  return runs.call("train", f"--config={spec}", f"--workdir={workdir}")


def _begun(place, judge, use, source) -> runs.Ending:
  """What a run leaves that starts from another or learns from it."""
  judge.learn(_call(place, place.folder / use, use, source))
  return runs.ending(place.folder / use)


def _other(want: runs.Ending, workdir: pathlib.Path) -> str:
  return runs.other_array(want.arrays, runs.ending(workdir).arrays)
