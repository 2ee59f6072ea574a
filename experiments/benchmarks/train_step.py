r"""Time of a binary training step over that of its float twin.

  python experiments/benchmarks/train_step.py

Both networks run in one process and take turns. It prints medians, quartiles
and their ratio, for the default model at batch 128.
"""

import argparse
import json

import jax
import numpy as np
from timing import record_line, timed

import bnnjax.methods  # noqa: F401 (registers them)
from bnnjax.report import provenance
from bnnjax.train import config_file, optim, state, step
from bnnjax.train.plan import Plan

CONFIG = "configs/fashion_mnist_mini_pokebnn.py"


def make_step(config, batch_size):
  """A closure that runs one training step and waits for it."""
  plan = Plan(config)
  config = plan.config
  network, task = plan.networks[0], plan.task
  optimizer = optim.make_optimizer(config.optim.to_dict(), 100, network.kinds)
  train_step = step.make_train_step(
    network, optimizer, task, steps=100, epochs=1.0
  )
  rng = np.random.default_rng(0)
  batch = {
    "image": rng.normal(size=(batch_size, *config.data.shape)).astype(
      "float32"
    ),
    "label": rng.integers(0, config.data.num_classes, batch_size),
  }
  batch = jax.device_put(batch, jax.devices()[0])
  # Committed like the batch; otherwise the second step would compile again.
  carry = jax.device_put(
    [state.make_state(network, optimizer, 0), task.train_metrics.empty()],
    jax.devices()[0],
  )

  def run():
    carry[:] = train_step(*carry, batch, None)
    jax.block_until_ready(carry[0])

  return run


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--batch", type=int, default=128)
  parser.add_argument("--rounds", type=int, default=40)
  parser.add_argument("--json", help="append the measurement to this file")
  args = parser.parse_args()
  sides = {
    "binary": make_step(config_file.read(CONFIG), args.batch),
    "float": make_step(config_file.read(f"{CONFIG}:float"), args.batch),
  }
  times = timed(sides, args.rounds)
  for name, seconds in times.items():
    low, middle, high = np.percentile(seconds, [25, 50, 75]) * 1e3
    print(
      f"{name:7} {middle:7.1f} ms a step (quartiles {low:.1f} to {high:.1f})"
    )
  ratios = times["binary"] / times["float"]
  low, middle, high = np.percentile(ratios, [25, 50, 75])
  print(
    f"binary / float {middle:.3f} (quartiles {low:.3f} to {high:.3f}, batch"
    f" {args.batch}, {args.rounds} rounds, {provenance.device()})"
  )
  if args.json:
    ratio = {"median": middle, "quartiles": [low, high]}
    with open(args.json, "a") as file:
      line = record_line("train_step", args) | {"ratio": ratio}
      file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
  main()
