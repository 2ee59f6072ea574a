"""Damaged files for every reader: right values, or an error with file and fault.

for reader in READERS:
  for name, path, valid in inputs(reader, seed=0, count=200): ...
"""

import pathlib
import signal
import tempfile
import threading
import time
import warnings
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tests.hunt import checkpoints, damage, readers, texts
from tests.hunt.tally import Tally

READERS = readers.READERS | texts.READERS | checkpoints.READERS
LIMIT = 5.0  # seconds of CPU
USER_ERRORS = (ValueError, TypeError, OSError)


class Input(NamedTuple):
  """A file.

  Attributes:
    name: reader, number and damage.
    path: of the file.
    valid: whether it is undamaged.
    want: what was written.
    blind: whether a reader cannot see the damage.
  """

  name: str
  path: pathlib.Path
  valid: bool
  want: Any
  blind: bool


def inputs(reader: str, seed: int, count: int) -> Iterator[Input]:
  """Files of a reader, every third of them valid, one at a time.

  Each is another; the same seed gives the same ones. They lie in a folder that
  goes when the next is asked for.
  """
  made = READERS[reader]
  with tempfile.TemporaryDirectory(prefix="hunt") as root:
    for number in range(count):
      rng = np.random.default_rng([seed, zlib.crc32(reader.encode()), number])
      folder = pathlib.Path(root) / "files"
      damage.clear(folder)
      path, want = made.write(rng, folder)
      valid = number % 3 == 0
      kind, blind = ("valid", False) if valid else _damage(rng, made, path)
      name = f"{reader} {seed}:{number} {kind}"
      yield Input(name, path, valid, want, blind)


def _damage(rng, made, path) -> tuple[str, bool]:
  """Damages a file in place; returns how, and whether a reader can see it."""
  chance = rng.random()
  if chance < 0.06:
    return damage.misplace(rng, path), False
  if made.change and chance < 0.55:
    return made.change(rng, path)
  kind = str(rng.choice(list(damage.WAYS)))
  path.write_bytes(damage.WAYS[kind](rng, path.read_bytes()))
  return kind, kind in made.blind


class _Hang(BaseException):
  """Raised if a reader does not return."""


def _stop(number, frame):
  raise _Hang


def judge(item: Input) -> tuple[str, str]:
  """What became of a file.

  Returns:
    "valid" (right values), "refused", "uncaught" or "hung", and why.
  """
  made = READERS[item.name.split()[0]]
  main = threading.current_thread() is threading.main_thread()
  before = main and signal.signal(signal.SIGALRM, _stop)
  start = time.process_time()
  try:
    if main:
      signal.alarm(int(12 * LIMIT))
    verdict = _verdict(made, item)
  except _Hang:
    return "hung", "no answer"
  finally:
    if main:
      signal.alarm(0)
      signal.signal(signal.SIGALRM, before)
  took = time.process_time() - start
  return ("hung", f"{took:.1f} s of CPU") if took > LIMIT else verdict


def _verdict(made, item) -> tuple[str, str]:
  with warnings.catch_warnings():
    warnings.simplefilter("error")  # numpy's and Python's are faults,
    warnings.simplefilter("ignore", UserWarning)  # ours say something
    try:
      got = made.read(item.path)
    except USER_ERRORS as error:
      said = f"{type(error).__name__}: {' '.join(str(error).split())}"
      if item.valid:
        return "uncaught", f"a valid file is refused: {said}"
      if str(item.path.parent) not in str(error):
        return "uncaught", f"does not name the file: {said}"
      return "refused", said
    except _Hang:
      raise
    except BaseException as error:  # Rust's panics too
      if isinstance(error, KeyboardInterrupt):
        raise
      return "uncaught", f"{type(error).__name__}: {error}"
  if readers.same(got, item.want):
    return "valid", ""
  if item.valid:
    return "uncaught", "a valid file gives other values"
  alike = made.alike and made.alike(got, item.want, item.path)
  if item.blind if alike is None else alike:
    return "valid", "another file of its kind"
  return "uncaught", "a damaged file gives other values without a word"


def run(count: int, seed: int, only: tuple[str, ...] = tuple(READERS)) -> Tally:
  """Judges `count` files of every reader; prints a line for each."""
  total = Tally()
  for reader in only:
    tally, undamaged, start = Tally(), 0, time.process_time()
    for item in inputs(reader, seed, count):
      kind, why = judge(item)
      undamaged += item.valid
      if kind in ("valid", "refused"):
        setattr(tally, kind, getattr(tally, kind) + 1)
      else:
        getattr(tally, kind).append(f"{item.name}: {why}")
    took = time.process_time() - start
    print(f"{reader:15} {tally}; {undamaged} undamaged; {took:.1f} s")
    total += tally
  return total
