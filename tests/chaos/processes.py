"""Kills, signals, races and sweeps, of processes that train.

Each kind is a generator function `(place, random, number, tally)`: it yields
after every disturbance how many there were so far, and counts what became of
them.
"""

import functools
import itertools
import pathlib
import random
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator

from tests.chaos import runs
from tests.chaos.runs import Fault, Place
from tests.chaos.tally import Tally

Chance = random.Random
MODELS = ("mlp", "decoder", "mamba")
SECOND = 0.25  # share of the signals that come twice
Kind = Callable[[Place, Chance, int, Tally], Iterator[int]]
_references: dict[tuple[pathlib.Path, int, str], runs.Ending] = {}


def reference(place: Place, model: str, **arguments: int) -> runs.Ending:
  """What an undisturbed run leaves."""
  spec = place.spec(model, **arguments)
  key = place.folder, place.devices, spec
  if key not in _references:
    workdir = place.folder / f"reference-{model}"
    place.train(spec, workdir).finish()
    _references[key] = runs.ending(workdir)
  return _references[key]


def _seen(workdir: pathlib.Path) -> tuple:
  """What changes as soon as a run takes steps."""
  metrics = workdir / "metrics.jsonl"
  size = metrics.stat().st_size if metrics.exists() else 0
  return size, tuple(sorted(_checkpoints(workdir)))


def _checkpoints(workdir: pathlib.Path) -> list[str]:
  return [str(p) for p in workdir.glob("checkpoints/*/*")]


def writing(workdir: pathlib.Path) -> bool:
  return any("tmp" in name for name in _checkpoints(workdir))


def wait(process: runs.Process, until: Callable[[], bool]) -> None:
  """Waits until a condition holds or the process has ended."""
  while process.running():
    try:
      if until():
        return
    except FileNotFoundError:  # a file went while we looked
      pass
    time.sleep(0.001)


def _wait_moment(process, workdir, chance: Chance) -> str:
  """Waits until a random moment of a run; returns its kind."""
  how = chance.choices(("starting", "writing", "running"), (1, 2, 3))[0]
  if how == "starting":
    time.sleep(chance.uniform(0.05, 4))
  elif how == "writing":  # a checkpoint that is not complete has another name
    for _ in range(chance.randint(1, 4)):
      wait(process, lambda: not writing(workdir))
      wait(process, lambda: writing(workdir))
    time.sleep(chance.uniform(0, 0.03))
  else:
    before = _seen(workdir)
    wait(process, lambda: _seen(workdir) != before)
    time.sleep(chance.uniform(0, 1.5))
  return how


def kills(
  place: Place, chance: Chance, number: int, tally: Tally
) -> Iterator[int]:
  """SIGKILL at random moments, then the same command until it is done."""
  done = 0
  for trial in itertools.count():
    if done >= number:
      return
    model = MODELS[trial % len(MODELS)]
    want, workdir = reference(place, model), place.folder / f"kill{trial}"
    command = place.spec(model), workdir
    most, told = min(chance.randint(3, 6), number - done), []
    start = functools.partial(place.train, *command)
    moment = functools.partial(_wait_moment, workdir=workdir, chance=chance)
    try:
      for killed in _until_done(start, moment, most, told):
        yield done + killed
      runs.same(want, workdir)
      tally.add("identical", len(told))
    except Fault as fault:
      tally.faults.append(f"{model} killed {', '.join(told)}: {fault}")
      told = told or ["never"]
    done += len(told)
    yield done


def _until_done(
  start: Callable[[], runs.Process],
  moment: Callable[[runs.Process], str],
  most: int,
  told: list[str],
) -> Iterator[int]:
  """Starts a command until it ends by itself, after at most `most` kills.

  Yields after every SIGKILL how many there were; `told` has what the command
  was at.
  """
  while True:
    process = start()
    if len(told) < most:
      how = moment(process)
      process.send(signal.SIGKILL)
      if process.wait() == -signal.SIGKILL:
        told.append(how)
        yield len(told)
        continue
    process.finish()
    return


def signals(
  place: Place, chance: Chance, number: int, tally: Tally
) -> Iterator[int]:
  """SIGTERM and SIGINT, some of them twice; then the same command."""
  done = 0
  for trial in itertools.count():
    if done >= number:
      return
    model = ("decoder", "mlp", "mamba")[trial % 3]
    want, workdir = reference(place, model), place.folder / f"signal{trial}"
    told, sent = [], 0
    try:
      while sent < min(3, number - done):
        process = place.train(place.spec(model), workdir)
        how = _signal(process, workdir, chance)
        if how is None:  # it was done before
          process.finish()
          break
        told.append(how)
        sent += 1
        yield done + sent
      place.train(place.spec(model), workdir).finish()
      runs.same(want, workdir)
      tally.add("identical", sent)
    except Fault as fault:
      tally.faults.append(f"{model} {', '.join(told)}: {fault}")
      sent = max(1, sent)
    done += sent
    yield done


def _signal(process, workdir, chance: Chance) -> str | None:
  """Sends a signal, or two, and checks what is said and left."""
  how = _wait_moment(process, workdir, chance)
  kind = chance.choice((signal.SIGTERM, signal.SIGINT))
  twice = chance.random() < SECOND
  # Before a run has its folder, Python's own answers to signals hold.
  lock = workdir / ".lock"
  early = how == "starting" or not lock.exists()
  sent = time.monotonic()
  process.send(kind)
  if twice:
    time.sleep(chance.uniform(0.001, 0.1))
    process.send(kind)
  status = process.wait()
  took = time.monotonic() - sent
  if status == 0:
    return None
  what = f"{kind.name}{' twice' if twice else ''} {how}"
  if status not in (128 + kind, *((-kind,) if early else ())):
    raise Fault(f"{what}: exit {status}; {process.said()}")
  if took > 60:
    raise Fault(f"{what}: took {took:.0f} s")
  said = process.err()
  if twice or early:
    return what
  saved = re.search(r"at step (\d+)[^.]*saved", said)
  if not saved:
    raise Fault(f"{what}: does not say what was saved; {process.said()}")
  if not (workdir / "checkpoints" / "last" / saved[1]).is_dir():
    raise Fault(f"{what}: there is no checkpoint of step {saved[1]}")
  return what


def races(
  place: Place, chance: Chance, number: int, tally: Tally
) -> Iterator[int]:
  """Two processes on one workdir: one runs, one is refused with the reason."""
  done = 0
  for trial in itertools.count():
    if done >= number:
      return
    model = MODELS[trial % len(MODELS)]
    want, workdir = reference(place, model), place.folder / f"race{trial}"
    command = place.spec(model), workdir
    try:
      if chance.random() < 0.5:  # a race for a run that was stopped
        begun = place.train(*command)
        _wait_moment(begun, workdir, chance)
        begun.send(signal.SIGKILL)
        begun.wait()
      first = place.train(*command)
      time.sleep(chance.uniform(0, 0.5))
      second = place.train(*command)
      status = {first.wait(): first, second.wait(): second}
      if set(status) == {0} and "finished before" in first.out() + second.out():
        continue  # one began when the other was done
      if set(status) != {0, 2}:
        raise Fault(
          f"exits {first.wait()} and {second.wait()}; {first.said()};"
          f" {second.said()}"
        )
      said = " ".join(status[2].err().split())
      if str(status[0].pid) not in said or socket.gethostname() not in said:
        raise Fault(f"the refusal names no pid and host: {said}")
      if "Traceback" in said:
        raise Fault(f"traceback: {said}")
      runs.same(want, workdir)
      tally.add("identical")
    except Fault as fault:
      tally.faults.append(f"{model}: {fault}")
    done += 1
    yield done


SWEEP = '''"""Made by tests.chaos: three runs, two of them of one name."""


def sweep():
  yield {first!r}
  yield {second!r}
  yield {third!r}
'''


def sweeps(
  place: Place, chance: Chance, number: int, tally: Tally
) -> Iterator[int]:
  """Kills a sweep and starts it again, until it is done."""
  for name in "ab":  # of one name, and not the same
    other = place.folder / name / "config.py"
    other.parent.mkdir(exist_ok=True)
    other.write_text(
      "from tests.chaos import config\n\n\n"
      "def get_config(arg):\n"
      f"  made = config.get_config(arg).unlock()\n"
      f"  made.optim.lr = {0.001 if name == 'a' else 0.003}\n"
      f"  return made\n"
    )
  experiment = place.folder / "experiment.py"
  short = "model=mlp,steps=60"
  specs = {
    "first": f"{place.folder / 'a' / 'config.py'}:{short}",
    "second": f"{place.folder / 'b' / 'config.py'}:{short}",
    "third": place.spec("decoder", steps=60),
  }
  experiment.write_text(SWEEP.format(**specs))
  want = {}
  for key, spec in specs.items():
    place.train(spec, place.folder / f"alone-{key}").finish()
    want[key] = runs.ending(place.folder / f"alone-{key}")
  done = 0
  for trial in itertools.count():
    if done >= number:
      return
    inside = Place(place.folder / f"sweep{trial}", place.devices)
    command = ("sweep", experiment, f"--record={inside.folder / 'all.jsonl'}")
    most, told = min(4, number - done), []

    def moment(process, inside=inside):
      wait(process, functools.partial(_anything, inside.folder))
      time.sleep(chance.uniform(0, 6))
      return "running"

    try:
      start = functools.partial(inside.start, *command)
      for killed in _until_done(start, moment, most, told):
        yield done + killed
      _check_sweep(inside.folder, want)
      inside.start(*command).finish()  # of what is done nothing is done again
      _check_sweep(inside.folder, want)
      tally.add("identical", len(told))
    except Fault as fault:
      tally.faults.append(f"killed {len(told)} times: {fault}")
      told = told or ["never"]
    done += len(told)
    yield done


def _anything(folder: pathlib.Path) -> bool:
  return any(folder.glob("runs/*/*/checkpoints"))


def _check_sweep(folder: pathlib.Path, want: dict[str, runs.Ending]) -> None:
  """One record and one run of each, the same as alone."""
  records = runs.json_lines(folder / "all.jsonl")
  names = [record["name"] for record in records]
  if len(names) != len(want) or len({*names}) != len(names):
    raise Fault(f"records of {names} for {len(want)} specs")
  made = sorted(p.parent for p in folder.glob("runs/*/*/checkpoints"))
  if len(made) != len(want):
    raise Fault(f"{len(made)} workdirs for {len(want)} specs")
  left = [runs.ending(workdir, folder / "all.jsonl").arrays for workdir in made]
  for key, one in want.items():
    if all(runs.other_array(one.arrays, arrays) for arrays in left):
      raise Fault(f"no run has the arrays of the {key} spec alone")
    metrics = one.records[0]["metrics"]
    if not any(metrics == record["metrics"] for record in records):
      raise Fault(f"no record has the metrics of the {key} spec alone")


def devices(
  place: Place, chance: Chance, number: int, tally: Tally
) -> Iterator[int]:
  """A run that stops on 1 device and resumes on 8, and the reverse."""
  for trial in range(number):
    here, there = ((1, 8), (8, 1))[trial % 2]
    model = MODELS[trial // 2 % len(MODELS)]
    workdir = place.folder / f"devices{trial}"
    command = place.spec(model), workdir
    try:
      begun = place.train(*command, devices=here)
      saved = workdir / "checkpoints" / "last"
      few = functools.partial(has_step, saved, 15 * chance.randint(1, 4))
      wait(begun, few)
      begun.send(signal.SIGTERM)
      if begun.wait() != 128 + signal.SIGTERM:
        raise Fault(f"exit {begun.wait()}: {begun.said()}")
      place.train(*command, devices=there).finish()
      _check_close(reference(place, model), runs.ending(workdir))
      again = place.train(*command, devices=here)
      again.finish()
      if "finished before" not in again.out():
        raise Fault(f"trained once more: {again.said()}")
      tally.add("identical")
    except Fault as fault:
      tally.faults.append(f"{model} {here} to {there} devices: {fault}")
    yield trial + 1


def has_step(saved: pathlib.Path, least: int) -> bool:
  found = saved.iterdir() if saved.exists() else ()
  return any(p.name.isdigit() and int(p.name) >= least for p in found)


def _check_close(want: runs.Ending, got: runs.Ending) -> None:
  """The same lines and record; numbers up to the order of sums."""
  for name, lines in want.lines.items():
    steps = [[x["step"] for x in side] for side in (lines, got.lines[name])]
    if steps[0] != steps[1]:
      raise Fault(f"{name}: steps {steps[1]} for {steps[0]}")
  if len(got.records) != 1:
    raise Fault(f"{len(got.records)} records")
  losses = [x.records[0]["metrics"]["loss"] for x in (want, got)]
  # A binary network is chaotic in the last bit: a sign that flips is a step.
  if abs(losses[0] - losses[1]) > 0.1 * abs(losses[0]):
    raise Fault(f"loss {losses[1]} for {losses[0]}")


KINDS: dict[str, Kind] = {
  "kills": kills,
  "signals": signals,
  "races": races,
  "sweeps": sweeps,
  "moves": devices,
}
