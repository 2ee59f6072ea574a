"""Judges one input: valid, refused, or a fault.

An input has two halves. `make` builds something from it, and may refuse: a
ValueError or TypeError that our own code raises. `use` runs what was built to
the end and compares; whatever it raises is a fault.
"""

import faulthandler
import pathlib
import random
import time
import traceback
import types
import warnings
from collections.abc import Callable
from typing import Any

import jax

import bnnjax
from tests.hunt.tally import Tally

HERE = pathlib.Path(__file__).parent
OURS = pathlib.Path(bnnjax.__file__).parent
LIMIT = 5.0  # seconds of CPU beyond compilation
STUCK = 300.0  # seconds after which a hang that nothing interrupts ends it all
# What our functions may warn of; numpy's and Python's warnings are faults.
ALLOWED = (UserWarning,)

CALLS = (
  "got multiple values for argument",
  "got an unexpected keyword argument",
  "required positional argument",
  "required keyword-only argument",
  "positional arguments but",
)

_compiled = [0.0]


def _listen(event: str, seconds: float, **_: Any) -> None:
  if event.startswith("/jax/core/compile") or "cache" in event:
    _compiled[0] += seconds


jax.monitoring.register_event_duration_secs_listener(_listen)


def hunt(
  kind: types.ModuleType,
  count: int,
  seed: int,
  *,
  first: int = 0,
  verbose: bool = False,
) -> Tally:
  """Judges random inputs of a kind.

  Args:
    kind: a module with `draw(random)`, `build(case)` and `use(case, built)`.
    count: number of inputs.
    seed: input `i` is drawn from `seed` and `i` alone.
    first: the first `i`.
    verbose: print every input before it runs.
  """
  tally = Tally()
  for i in range(first, first + count):
    verdict, line = one(kind, seed, i, verbose)
    if verdict in ("valid", "refused"):
      tally += Tally(**{verdict: 1})
    else:
      tally += Tally(**{"hung" if verdict == "hang" else "uncaught": [line]})
  return tally


def one(
  kind: types.ModuleType, seed: int, i: int, verbose: bool = False
) -> tuple[str, str]:
  """The verdict on input `i`, and a line that says what it was."""
  case = kind.draw(random.Random(f"{kind.__name__} {seed} {i}"))
  if verbose:
    print(i, case, flush=True)
  faulthandler.dump_traceback_later(STUCK, exit=True)
  verdict, why = judge(
    lambda: kind.build(case), lambda built: kind.use(case, built)
  )
  faulthandler.cancel_dump_traceback_later()
  name = kind.__name__.rpartition(".")[2]
  return verdict, f"{name} {i}: {verdict}: {why} <- {case}"


def is_ours(error: BaseException) -> bool:
  """Whether a check of ours raised it: the last frame is a `raise` of ours."""
  last = traceback.extract_tb(error.__traceback__)[-1]
  inside = OURS in pathlib.Path(last.filename).parents
  # Python's own words for a call that does not fit a signature of ours.
  call = isinstance(error, TypeError) and any(w in str(error) for w in CALLS)
  return call or (inside and (last.line or "").startswith("raise"))


def judge(
  make: Callable[[], Any], use: Callable[[Any], None]
) -> tuple[str, str]:
  """Returns what became of an input, and why.

  Returns:
    `"valid"`, `"refused"`, `"uncaught"` (foreign or late errors, warnings of
    numpy), `"wrong"` (a comparison failed) or `"hang"`; and the message.
  """
  start, compiled = time.process_time(), _compiled[0]
  verdict = _verdict(make, use)
  took = time.process_time() - start - (_compiled[0] - compiled)
  if took > LIMIT:
    return "hang", f"{took:.1f} s of CPU; {verdict}"
  return verdict


def _verdict(make, use) -> tuple[str, str]:
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    for kind in ALLOWED:
      warnings.simplefilter("ignore", kind)
    try:
      made = make()
    except (ValueError, TypeError) as error:
      return ("refused" if is_ours(error) else "uncaught"), _text(error)
    except Exception as error:
      return "uncaught", _text(error)
    try:
      use(made)
    except AssertionError as error:
      # A comparison of ours, or an assertion of somebody's code.
      last = traceback.extract_tb(error.__traceback__)[-1]
      mine = HERE in pathlib.Path(last.filename).parents
      return ("wrong" if mine else "uncaught"), _text(error)
    except Exception as error:
      return "uncaught", "late: " + _text(error)
  return "valid", ""


def _text(error: BaseException) -> str:
  frames = traceback.extract_tb(error.__traceback__)
  ours = [f for f in frames if OURS in pathlib.Path(f.filename).parents]
  last = ours[-1] if ours else frames[-1]
  where = f"{pathlib.Path(last.filename).name}:{last.lineno}"
  message = " ".join(str(error).split())
  return f"{where}: {type(error).__name__}: {message}"[:400]
