"""The hunt: random inputs against the public functions and the readers.

  python -m tests.hunt [--count 3600] [--seed 0] [--only specs] [--first 17]

Every input is valid and runs to the end with the right numbers, or is refused
by a check of ours; anything else is printed, and the exit status is 1. An input
comes back with `--only KIND --first INDEX --count 1 --seed SEED --verbose`.
"""

import argparse
import importlib.util
import sys
import time

import tests.conftest  # noqa: F401 (how the tests compile)
from tests.hunt import api, judge, layers, programs, specs
from tests.hunt.tally import Tally

SHARES = {specs: 0.3, layers: 0.25, api: 0.25, programs: 0.2}
FILES = 18  # one damaged file of each reader for so many other inputs


def hunt(
  count: int,
  seed: int,
  *,
  only: str | None = None,
  first: int = 0,
  verbose: bool = False,
) -> dict[str, tuple[Tally, float]]:
  """Tally and seconds of CPU by kind; `count` inputs and the files."""
  out = {}
  for kind, share in SHARES.items():
    name = kind.__name__.rpartition(".")[2]
    if only not in (None, name):
      continue
    start = time.process_time()
    number = count if only else round(share * count)
    tally = judge.hunt(kind, number, seed, first=first, verbose=verbose)
    out[name] = tally, time.process_time() - start
  if only in (None, "files") and importlib.util.find_spec("tests.hunt.files"):
    from tests.hunt import files

    start = time.process_time()
    tally = files.run(count if only else max(1, count // FILES), seed)
    out["files"] = tally, time.process_time() - start
  if only == "commands" or (only is None and first == 0):
    from tests.hunt import commands

    start = time.process_time()
    number = count if only else max(25, count // 4)
    tally = commands.run(number, seed, first=first, verbose=verbose)
    out["commands"] = tally, time.process_time() - start
  return out


def main() -> int:
  """Prints the table; 1 if anything was neither valid nor refused."""
  parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
  parser.add_argument("--count", type=int, default=3600)
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument(
    "--only", help="specs, layers, api, programs, files or commands"
  )
  parser.add_argument("--first", type=int, default=0)
  parser.add_argument("--verbose", action="store_true")
  found = hunt(**vars(parser.parse_args()))
  total = sum((tally for tally, _ in found.values()), Tally())
  seconds = sum(seconds for _, seconds in found.values())
  for line in total.uncaught + total.hung:
    print(line)
  print(f"seed {parser.parse_args().seed}")
  for name, (tally, took) in {**found, "all": (total, seconds)}.items():
    print(f"{name:9}{tally}, {took:.0f} s of CPU")
  return int(bool(total.uncaught or total.hung))


if __name__ == "__main__":
  sys.exit(main())
