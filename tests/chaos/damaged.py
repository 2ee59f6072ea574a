"""What a command does with a damaged text, config, record or folder.

Right is a refusal in one paragraph that names what is wrong, or the same
numbers as without the damage. Other numbers without a word and tracebacks are
faults.
"""

import functools
import os
import pathlib
import random
import re
import shutil
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.chaos import damage as ways
from tests.chaos import processes, runs
from tests.chaos.runs import Fault, Place
from tests.chaos.tally import Tally

STEPS = 60  # of a run whose files are damaged


class Base(NamedTuple):
  """A run that was stopped, one that was not, and what they hold.

  Attributes:
    spec: config of both.
    stopped: its workdir; it ended between two evaluations.
    whole: workdir of the other.
    ending: what that one left.
  """

  spec: str
  stopped: pathlib.Path
  whole: pathlib.Path
  ending: runs.Ending


def base(place: Place, model: str) -> Base:
  """Makes both runs."""
  spec = place.spec(model, steps=STEPS)
  stopped, whole = place.folder / f"stopped-{model}", place.folder / model
  place.train(spec, whole).finish()
  for _ in range(20):  # until one was stopped in time
    process = place.train(spec, stopped)
    both = [stopped / "checkpoints" / kind for kind in ("last", "best")]
    processes.wait(process, functools.partial(_saved, both))
    process.send(15)
    if process.wait() != 0:
      break
    shutil.rmtree(stopped)
  else:
    raise Fault(f"{spec} is done before it can be stopped")
  return Base(spec, stopped, whole, runs.ending(whole))


def _saved(folders: list[pathlib.Path]) -> bool:
  return all(processes.has_step(folder, 1) for folder in folders)


class Judge:
  """Runs commands on damaged copies and counts the verdicts.

  Args:
    tally: of the verdicts.
    folder: for the copies.
  """

  def __init__(self, tally: Tally, folder: pathlib.Path):
    self._tally, self._folder = tally, folder
    self._usual = set()

  def learn(self, said: runs.Said) -> runs.Said:
    """Notes what a command says of undamaged files."""
    if said.status:
      raise Fault(f"an undamaged run: {said}")
    self._usual |= _lines(said)
    return said

  def copy(self, workdir: pathlib.Path) -> pathlib.Path:
    """A fresh copy of a workdir."""
    made = self._folder / "copy"
    if made.exists():
      made.chmod(0o755)
      shutil.rmtree(made)
    shutil.copytree(workdir, made)
    return made

  def go_on(self, one: "Base") -> None:
    """Notes what a run says that resumes."""
    copy = self.copy(one.stopped)
    self.learn(runs.call("train", f"--config={one.spec}", f"--workdir={copy}"))
    runs.same(one.ending, copy)

  def judge(
    self,
    what: str,
    said: runs.Said,
    names: tuple[str, ...],
    compare: Callable[[], str],
  ) -> None:
    """Counts what became of one command.

    Args:
      what: was damaged, and the command.
      said: what it did.
      names: words, one of which a refusal or a repair has to have.
      compare: what differs from the undamaged run, empty if nothing.
    """
    told = " ".join(said.err.split())
    try:
      if said.uncaught:
        raise Fault(f"uncaught: {said.uncaught[-400:]}")
      if said.status not in (0, 1, 2):
        raise Fault(f"exit {said.status}: {told[-400:]}")
      if said.status:
        if "Traceback" in told:
          raise Fault(f"traceback: {told[-400:]}")
        if not any(name in told for name in names):
          raise Fault(f"the refusal names none of {names}: {told[-400:]}")
        self._tally.add("refused")
        return
      try:
        other = compare()
      except Exception as error:
        raise Fault(f"exit 0, but: {type(error).__name__}: {error}") from error
      if other:
        raise Fault(f"silent: {other}")
      news = " ".join(_lines(said) - self._usual)
      repaired = any(name in news for name in names)
      self._tally.add("repaired" if repaired else "harmless")
    except Fault as fault:
      self._tally.faults.append(f"{what}: {fault}")


def _lines(said: runs.Said) -> set[str]:
  """What was said, without the numbers."""
  return {
    re.sub(r"[\d.:]+", "#", line) for line in (said.out + said.err).splitlines()
  }


def _trained(one: Base, workdir: pathlib.Path, record=None):
  """Compares the end of a run."""
  return lambda: runs.difference(one.ending, runs.ending(workdir, record))


def _printed(said: runs.Said, want: runs.Said):
  """Compares what an evaluation or a sample prints."""
  return lambda: "" if said.out.endswith(want.out) else f"prints {said.out!r}"


def texts(place: Place, judge: Judge) -> Iterator[None]:
  """A text that changes between two sessions of a run."""
  one = base(place, "decoder")
  judge.go_on(one)
  whole = place.text.read_bytes()
  sampled = ("--prompt=abc", "--tokens=8", "--temperature=0")
  wanted = {
    "eval": judge.learn(runs.call("eval", f"--workdir={one.whole}")),
    "sample": judge.learn(
      runs.call("sample", f"--workdir={one.whole}", *sampled)
    ),
  }
  names = (str(place.text), "text", "data")
  try:
    for name, way in ways.TEXTS.items():
      place.text.write_bytes(way(whole))
      copy = judge.copy(one.stopped)
      said = runs.call("train", f"--config={one.spec}", f"--workdir={copy}")
      judge.judge(f"text {name}, train", said, names, _trained(one, copy))
      for command, want in wanted.items():
        more = sampled if command == "sample" else ()
        said = runs.call(command, f"--workdir={one.whole}", *more)
        what = f"text {name}, {command}"
        judge.judge(what, said, names, _printed(said, want))
      yield
  finally:
    place.text.write_bytes(whole)


def _each(file: pathlib.Path, table, places=ways.PLACES):
  """Names and ways to damage a file, by content and by place."""
  for name, way in table.items():
    yield name, lambda path, way=way: path.write_bytes(way(file.read_bytes()))
  yield from places.items()


def configs(place: Place, judge: Judge, one: Base) -> Iterator[None]:
  """config.json of a run that resumes, and of one that is evaluated."""
  want = judge.learn(runs.call("eval", f"--workdir={one.whole}"))
  names = ("config.json", "config", "`")
  for name, move in _each(one.stopped / "config.json", ways.CONFIGS):
    copy = judge.copy(one.stopped)
    move(copy / "config.json")
    said = runs.call("train", f"--config={one.spec}", f"--workdir={copy}")
    what = f"config.json {name}"
    judge.judge(f"{what}, train", said, names, _trained(one, copy))
    copy = judge.copy(one.whole)
    move(copy / "config.json")
    said = runs.call("eval", f"--workdir={copy}")
    judge.judge(f"{what}, eval", said, names, _printed(said, want))
    yield


def records(place: Place, judge: Judge, one: Base) -> Iterator[None]:
  """A file of records that a run appends to, or that a report reads."""
  file = place.folder / "all.jsonl"
  page = place.folder / "page.md"
  line = (one.whole / "record.jsonl").read_bytes()
  page_text = f"<!-- results: {file.name} -->\n<!-- /results -->\n"
  file.write_bytes(line)
  page.write_text(page_text)
  judge.learn(runs.call("report", page))
  table = page.read_text()

  def appended(copy):
    def compare():
      left = runs.ending(copy, file)
      left.records = left.records[-1:]
      return runs.difference(one.ending, left)

    return compare

  def reported():
    return "" if page.read_text() == table else f"table {page.read_text()!r}"

  for name, move in _each(one.whole / "record.jsonl", ways.RECORDS):
    file.write_bytes(line) if not file.exists() else None
    move(file)
    page.write_text(page_text)
    what = f"records {name}"
    if name not in ("gone", "line only blanks", "line empty"):
      said = runs.call("report", page)
      judge.judge(f"{what}, report", said, (file.name,), reported)
    copy = judge.copy(one.stopped)
    said = runs.call(
      "train", f"--config={one.spec}", f"--workdir={copy}", f"--record={file}"
    )
    judge.judge(f"{what}, train", said, (file.name,), appended(copy))
    shutil.rmtree(file) if file.is_dir() else file.unlink(missing_ok=True)
    yield


def lines(place: Place, judge: Judge, one: Base) -> Iterator[None]:
  """metrics.jsonl and diagnostics.jsonl of a run that resumes."""
  # Who takes the file away, or what it links to, knows that lines are gone.
  seen = ("a folder", "link to itself")
  places = {k: ways.PLACES[k] for k in seen}
  for file in ("metrics.jsonl", "diagnostics.jsonl"):
    for name, move in _each(one.stopped / file, ways.LINES, places):
      copy = judge.copy(one.stopped)
      move(copy / file)
      said = runs.call("train", f"--config={one.spec}", f"--workdir={copy}")
      what = f"{file} {name}, train"
      judge.judge(what, said, (file,), _trained(one, copy))
      yield


def folders(place: Place, judge: Judge, one: Base) -> Iterator[None]:
  """The workdir and its checkpoints."""
  want = judge.learn(runs.call("eval", f"--workdir={one.whole}"))
  for name, move in ways.FOLDERS.items():
    if "read-only" in name and os.geteuid() == 0:
      continue  # which does not stop root
    for command, workdir in (("train", one.stopped), ("eval", one.whole)):
      copy = judge.copy(workdir)
      move(copy)
      given = [f"--config={one.spec}"] if command == "train" else []
      said = runs.call(command, *given, f"--workdir={copy}")
      compare = (
        _trained(one, copy) if command == "train" else _printed(said, want)
      )
      names = ("checkpoint", str(copy))
      judge.judge(f"folder {name}, {command}", said, names, compare)
    yield


def damage(
  place: Place, chance: random.Random, number: int, tally: Tally
) -> Iterator[int]:
  """Every damage of the generator; the same for every seed."""
  del chance, number
  done = 0
  judge = Judge(tally, place.folder)
  one = base(place, "mlp")
  judge.go_on(one)
  for kind in (configs, records, lines, folders):
    for _ in kind(place, judge, one):
      done += 1
      yield done
  for _ in texts(place, judge):
    done += 1
    yield done
