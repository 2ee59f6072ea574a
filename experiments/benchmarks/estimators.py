r"""Training-step time with each method over that of the float network.

  python experiments/benchmarks/estimators.py --json experiments/results/benchmarks.jsonl

The network is the ablation's ResNet, `--width` times as wide: 4 gives it the 64
to 256 features of a ResNet-18, 1 the 16 to 64 of the ablation, where
element-wise work is a larger part. All networks run in one process, and every
round runs each of them. It prints the medians of the ratios of all rounds.
"""

import argparse
import json

import numpy as np
from timing import record_line, timed
from train_step import make_step

from bnnjax.core import registry
from bnnjax.train import config_file

CONFIG = "configs/fashion_mnist_resnet.py"
LIMIT = 1.15


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--batch", type=int, default=64)
  parser.add_argument("--width", type=float, default=4.0)
  parser.add_argument("--rounds", type=int, default=15)
  parser.add_argument("--json", help="append the measurement to this file")
  parser.add_argument("--methods", nargs="*", help="default: all")
  args = parser.parse_args()
  names = args.methods or registry.registered("method", family="cnn")
  width = f"--config.model.width={args.width}"
  sides = {
    name: make_step(
      config_file.read(f"{CONFIG}:method={name}", [width]), args.batch
    )
    for name in ("float", *names)
  }
  times = timed(sides, args.rounds)
  ratios = {}
  for name in names:
    ratio = times[name] / times["float"]
    low, middle, high = np.percentile(ratio, [25, 50, 75])
    ratios[name] = {"median": middle, "quartiles": [low, high]}
    flag = "" if middle <= LIMIT else f"  above {LIMIT}"
    print(f"{name:28} {middle:.3f} (quartiles {low:.3f} to {high:.3f}){flag}")
  if args.json:
    with open(args.json, "a") as file:
      line = record_line("estimators", args)
      line |= {"width": args.width, "ratios": ratios}
      file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
  main()
