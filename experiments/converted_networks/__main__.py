"""What does converting a network that you have take, and give?

  python -m experiments.converted_networks [NAME ...]

Converts networks that do not use bnnjax, counts them, makes them float again,
converts and trains them, each in a process of its own. Records go to
`experiments/results/converted_networks.jsonl`, and the table of all of them to
`experiments/converted_networks.md`. A network whose package is not installed
keeps its record; an environment with all packages takes two commands:

  pip install --no-deps -r requirements.txt
  pip install --no-deps -r experiments/converted_networks.txt

(without their dependencies: most are for what is not built here).
"""

import argparse
import importlib.util
import json
import subprocess
import sys

from . import measure, networks, page


def main() -> None:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawTextHelpFormatter
  )
  parser.add_argument("names", nargs="*", help="of networks; by default all")
  parser.add_argument("--one", action="store_true", help="print one record")
  args = parser.parse_args()
  if args.one:
    print(json.dumps(measure.measured(*args.names)))
    return
  records = page.records()
  for name in args.names or networks.NETWORKS:
    module = networks.NETWORKS[name].package.module
    if importlib.util.find_spec(module) is None:
      print(f"{name}: {module} is not installed, its record stays")
      continue
    command = [sys.executable, "-m", __package__, "--one", name]
    done = subprocess.run(
      command, stdout=subprocess.PIPE, text=True, check=True
    )
    records[name] = json.loads(done.stdout.splitlines()[-1])
    print(f"{name}: {records[name]['seconds']:.0f} s", flush=True)
    page.store(records)
  page.FILE.write_text(page.page(records))
  print(page.FILE)


if __name__ == "__main__":
  main()
