"""Disturbs runs and checks that nothing is lost, mixed or silently wrong.

  python -m tests.chaos --kills 60 --signals 20 --races 20 --flips 150
  python -m tests.chaos --kills 60 --devices 8
  python -m tests.chaos --seed 3 --damage 0 --json chaos.json

Every kind is compared with a run that nothing disturbed: all arrays, the lines
of metrics and diagnostics (times apart) and the one record have to be the same
to the bit; or the command refuses in one paragraph. The exit status is 1 if
anything was lost, silent, or a traceback.
"""

import argparse
import json
import pathlib
import random
import sys
import tempfile
import time

from rich import console as rich_console
from rich import progress as rich_progress
from rich import table as rich_table

from tests.chaos import damaged, disk, flips, processes
from tests.chaos.runs import Place
from tests.chaos.tally import GOOD, Tally

KINDS = {
  **processes.KINDS,
  "flips": flips.flips,
  "damage": damaged.damage,
  "disk": disk.full,
}
HELP = {
  "kills": (60, "SIGKILLs, then the same command"),
  "signals": (20, "SIGTERMs and SIGINTs, then the same command"),
  "races": (20, "two processes on one workdir"),
  "sweeps": (12, "SIGKILLs of a sweep"),
  "moves": (4, "runs that go on on another number of devices"),
  "flips": (150, "flipped bits in files of checkpoints"),
  "damage": (1, "0: none; 1: every change of texts, configs, records, folders"),
  "disk": (7, "full disks, the first with 4 KiB left (Linux, root)"),
}


def main(argv=None) -> int:
  """Runs the kinds that were asked for; returns 1 if there was a fault."""
  parser = argparse.ArgumentParser(
    prog="python -m tests.chaos",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  for name, (number, text) in HELP.items():
    parser.add_argument(
      f"--{name}",
      type=int,
      default=number,
      metavar="N",
      help=f"{text} ({number})",
    )
  parser.add_argument("--devices", type=int, default=1, help="of a process (1)")
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("--json", type=pathlib.Path, help="file for the summary")
  parser.add_argument("--keep", type=pathlib.Path, help="folder that is kept")
  args = parser.parse_args(argv)
  with tempfile.TemporaryDirectory(prefix="chaos") as folder:
    place = Place((args.keep or pathlib.Path(folder)).absolute(), args.devices)
    tallies = run(place, args.seed, {k: getattr(args, k) for k in KINDS})
  if args.json:
    args.json.write_text(json.dumps(_plain(args, tallies), indent=2) + "\n")
  show(tallies, args)
  return int(any(tally.faults for tally, _ in tallies.values()))


def run(
  place: Place, seed: int, numbers: dict[str, int]
) -> dict[str, tuple[Tally, float]]:
  """Tally and seconds of every kind with a number above 0."""
  columns = (
    "{task.description:8}",
    rich_progress.BarColumn(bar_width=24),
    rich_progress.MofNCompleteColumn(),
    "{task.fields[text]}",
    rich_progress.TimeElapsedColumn(),
  )
  found = {}
  console = rich_console.Console(stderr=True)
  with rich_progress.Progress(*columns, console=console) as bar:
    for name, number in numbers.items():
      if not number:
        continue
      tally, start = Tally(), time.monotonic()
      task = bar.add_task(name, total=number, text="")
      inside = Place(place.folder / name, place.devices)
      chance = random.Random(f"{name} {seed}")
      shown = 0
      for done in KINDS[name](inside, chance, number, tally):
        total = max(number, tally.total)
        bar.update(
          task, completed=done, total=total, text=f"{len(tally.faults)} faults"
        )
        for fault in tally.faults[shown:]:
          bar.console.print(f"{name}: {fault}", markup=False, highlight=False)
        shown = len(tally.faults)
      found[name] = tally, time.monotonic() - start
  return found


def show(tallies: dict[str, tuple[Tally, float]], args) -> None:
  """Prints the table."""
  table = rich_table.Table(title=f"seed {args.seed}, {args.devices} device(s)")
  for column in ("kind", "tried", *GOOD, "faults", "seconds"):
    table.add_column(column, justify="left" if column == "kind" else "right")
  for name, (tally, seconds) in tallies.items():
    numbers = [tally.total, *(tally.good[v] for v in GOOD), len(tally.faults)]
    table.add_row(name, *map(str, numbers), f"{seconds:.0f}")
  rich_console.Console().print(table)


def _plain(args, tallies) -> dict:
  kinds = {
    name: {**tally.good, "faults": tally.faults, "seconds": round(seconds, 1)}
    for name, (tally, seconds) in tallies.items()
  }
  return {"seed": args.seed, "devices": args.devices, "kinds": kinds}


if __name__ == "__main__":
  sys.exit(main())
