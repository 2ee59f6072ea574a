r"""Time and memory to count large models, import included.

  python experiments/benchmarks/count_speed.py

Counts each model in a process of its own.
"""

import argparse
import json
import os
import subprocess
import sys
import time

MODELS = {
  "PokeBNN-2.0x, 224x224": {
    "name": "pokebnn",
    "width": 2.0,
    "image_shape": (224, 224, 3),
  },
  "64-layer encoder, 2.7 B parameters": {
    "name": "bert",
    "features": 1856,
    "hidden": 4 * 1856,
    "heads": 29,
    "blocks": 64,
    "vocab": 50288,
    "weight": "ste|channel_l1",
    "act": "ste",
  },
}


def measure(config: dict) -> dict:
  """Counts one model in this process."""
  began = time.perf_counter()
  import resource

  import jax

  from bnnjax import cost, models

  model = models.abstract(lambda rngs: models.build(config, rngs=rngs))
  if config["name"] == "bert":
    argument = jax.ShapeDtypeStruct((1, 128), "int32")
  else:
    argument = jax.ShapeDtypeStruct((1, *config["image_shape"]), "float32")
  report = cost.count(model, argument)
  return {
    "seconds": time.perf_counter() - began,
    "MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "parameters": report.parameter_count,
    "ace": report.ace,
  }


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--one", help=argparse.SUPPRESS)
  parser.add_argument("--rounds", type=int, default=3)
  args = parser.parse_args()
  if args.one:
    print(json.dumps(measure(json.loads(args.one))))
    return
  for name, config in MODELS.items():
    runs = []
    for _ in range(args.rounds):
      command = [sys.executable, os.path.abspath(__file__)]
      out = subprocess.check_output([*command, "--one", json.dumps(config)])
      runs.append(json.loads(out))
    seconds = sorted(r["seconds"] for r in runs)
    print(
      f"{name}: median {seconds[len(seconds) // 2]:.1f} s"
      f" ({seconds[0]:.1f} to {seconds[-1]:.1f}), {runs[0]['MB']:.0f} MB,"
      f" {runs[0]['parameters']:,} parameters, ACE {runs[0]['ace']:,}"
    )


if __name__ == "__main__":
  main()
