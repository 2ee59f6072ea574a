"""Mutated command lines: sane output, or one paragraph and a known exit code.

Lines of every command are mutated (see `lines`) and given to `cli.main` in this
process, to processes of their own, and to runs that train a step.
"""

import contextlib
import io
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from bnnjax import cli
from bnnjax.train import loop
from tests.hunt import lines
from tests.hunt.tally import Tally

LIMIT = 30.0  # seconds of CPU
ROOT = pathlib.Path(__file__).parents[2]
CODES = (0, 1, cli.USER)
PWNED = "pwned"  # a file that no line may make


class _Checked(BaseException):
  """A run whose checks all passed, and that would train now."""

  exit_code = 0

  def __str__(self):
    return "checked"


def _only_check(config, workdir, **given):
  """Stands in for `loop.train`: does everything up to the first step."""
  loop.check(config, workdir, given.get("record"))
  raise _Checked


class _Hang(BaseException):
  """A line that does not return."""


def _hang(number, frame):
  raise _Hang


@contextlib.contextmanager
def folder(*, text: bool = True) -> Iterator[pathlib.Path]:
  """The working folder: files, a run, a run of text."""
  before = os.getcwd()
  with tempfile.TemporaryDirectory(prefix="hunt") as root:
    made = pathlib.Path(root) / "a" / "b"
    made.mkdir(parents=True)
    for name, content in lines.FILES.items():
      (made / name).write_text(content)
    os.chdir(made)
    try:
      runs = {"run": "tiny.py", **({"lm": "text.py"} if text else {})}
      for workdir, config in runs.items():
        code, _, err = call(
          ["train", f"--config={config}", f"--workdir={workdir}",
           "--record=r.jsonl" if workdir == "run" else "--record=t.jsonl"]
        )  # fmt: skip
        assert code == 0, err
      yield made
    finally:
      os.chdir(before)


def _restore(made: pathlib.Path, kept: frozenset[str]) -> None:
  """Removes what a line has written, so that each line stands alone."""
  for path in made.iterdir():
    if path.name not in kept and path.is_dir():
      shutil.rmtree(path)
    elif path.name not in kept:
      path.unlink()
  for name, content in lines.FILES.items():
    if content and (made / name).read_text() != content:
      (made / name).write_text(content)


def call(argv: list[str]) -> tuple[int, str, str]:
  """Exit code, output and errors of a line in this process."""
  out, err = io.StringIO(), io.StringIO()
  with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
    try:
      code = cli.main(argv)
    except SystemExit as error:
      code = error.code or 0
  return code, out.getvalue(), err.getvalue()


def start(argv: list[str]) -> tuple[int, str, str]:
  """The same of a line in a process of its own."""
  words = [os.fsencode(w) for w in argv]
  done = subprocess.run(
    [sys.executable, "-m", "bnnjax", *words],
    capture_output=True,
    env={**os.environ, "PYTHONPATH": os.fspath(ROOT), "JAX_PLATFORMS": "cpu"},
    check=False,
    timeout=20 * LIMIT,
  )
  return done.returncode, done.stdout.decode(), done.stderr.decode()


def judge(argv: list[str], code: int, out: str, err: str) -> str:
  """What is wrong with an answer; empty if nothing."""
  rows = err.splitlines()
  said = "\n".join(rows)
  if "--debug" in argv:
    return "" if code in CODES else f"exit {code}: {said[-300:]}"
  if code not in CODES:
    return f"exit {code}: {said[-400:]}"
  if "Traceback" in err:
    return "a traceback"
  if code == 1:
    return "" if "is stale" in out else f"exit 1: {out!r}"
  starts = [n for n, line in enumerate(rows) if line.startswith("bnnjax")]
  warned = [n for n in starts if ": warning: " in rows[n]]
  if code == 0:
    foreign = rows and starts[:1] != [0] and err != "checked\n"
    if foreign or len(warned) != len(starts):
      return f"exit 0 with {said!r}"
    return _sane(argv, out, err)
  if len(starts) - len(warned) != 1 or starts[0] != 0 or "" in rows:
    return f"not one paragraph: {said!r}"
  if rows[-1] != "(--debug shows where.)":
    return f"no word of --debug: {said!r}"
  wide = [x for x in rows if len(x) > cli.WIDTH and " " in x.strip()]
  if any(max(map(len, x.split())) < cli.WIDTH / 2 for x in wide):
    return f"not wrapped: {said!r}"
  if not all(c.isprintable() or c == "\n" for c in err):
    return f"control characters: {said!r}"
  return (
    f"output beside an error: {out!r}" if out and argv[0] != "sweep" else ""
  )


def _sane(argv: list[str], out: str, err: str) -> str:
  """Whether an output is one of its command."""
  if "-h" in argv or "--help" in argv:
    return "" if "usage: bnnjax" in out else "no usage"
  if err.endswith("checked\n"):
    return ""
  command = argv[0]
  wanted = {
    "train": r"record  |optim.lr: float",
    "eval": r"loss  \d",
    "cost": r"MACs|\"macs\"|macs",
    "list": r"^[a-z]+:\n",
    "new": r"\.py\n",
    "report": r"^$|up to date",
    "sweep": r"records: ",
    "sample": r"",
  }[command]
  if command == "cost" and "--json" in argv:
    json.loads(out)
  return "" if re.search(wanted, out) else f"exit 0 with the output {out!r}"


def _around(here: pathlib.Path) -> set[pathlib.Path]:
  """What lies beside the working folder, where relative paths lead."""
  places = here.parents[:2]
  return {p for place in places for p in place.iterdir()}


def hunt(
  count: int, seed: int, way: str, *, first: int = 0, verbose: bool = False
) -> Tally:
  """Judges lines in one of three ways: "call", "start" or "train"."""
  tally, here = Tally(), pathlib.Path.cwd()
  kept = frozenset(p.name for p in here.iterdir())
  around = _around(here)
  train, before = loop.train, signal.signal(signal.SIGALRM, _hang)
  loop.train = train if way == "train" else _only_check
  try:
    for i in range(first, first + count):
      r = random.Random(f"commands {way} {seed} {i}")
      argv = lines.trained(r, i) if way == "train" else lines.draw(r)
      if way == "start":
        argv = [w.replace("\0", "") for w in argv]
      os.chdir(here)
      if verbose:
        print(i, argv, flush=True)
      begun = time.process_time()
      signal.alarm(int(10 * LIMIT))
      try:
        code, out, err = (start if way == "start" else call)(argv)
        wrong = judge(argv, code, out, err)
      except (_Hang, subprocess.TimeoutExpired):
        code, wrong = None, "no answer"
      except Exception as error:
        code, wrong = None, f"{type(error).__name__}: {error}"
      finally:
        signal.alarm(0)
      if (here / PWNED).exists():
        wrong = "ran what was a value"
      if _around(here) != around:
        wrong, around = f"wrote outside: {_around(here)}", _around(here)
      _restore(here, kept)
      name = f"{way} {seed}:{i} {[w[:80] for w in argv]}"
      if wrong:
        tally.uncaught.append(f"{name}: {wrong}")
      elif time.process_time() - begun > LIMIT:
        tally.hung.append(name)
      else:
        tally += Tally(valid=int(code == 0), refused=int(code != 0))
  finally:
    loop.train = train
    signal.signal(signal.SIGALRM, before)
  return tally


def run(
  count: int, seed: int, *, first: int = 0, verbose: bool = False
) -> Tally:
  """`count` lines here, an eighth in processes, a 16th that train a step."""
  total = Tally()
  with folder():
    for way, number in (
      ("call", count), ("start", count // 8), ("train", count // 16)
    ):  # fmt: skip
      begun = time.process_time()
      tally = hunt(number, seed, way, first=first, verbose=verbose)
      print(f"commands, {way:6}{tally}; {time.process_time() - begun:.1f} s")
      total += tally
  return total
