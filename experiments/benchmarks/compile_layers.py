r"""Does the training step of a deep Mamba compile longer than a shallow one's?

  python experiments/benchmarks/compile_layers.py --json experiments/results/benchmarks.jsonl

Traces, lowers and compiles the whole step (forward, backward, AdamW) of 4 and
64 layers in turns, without the persistent cache.
"""

import argparse
import json
import time

import jax
import numpy as np
from timing import record_line

from bnnjax.train import config_file, optim, step
from bnnjax.train.plan import Plan
from bnnjax.train.state import make_state

CONFIG = "configs/plays_lm.py"
DEPTHS = (4, 64)
TOKENS = 64


def seconds(depth: int, batch: int) -> float:
  """Seconds from nothing to an executable."""
  sizes = [f"--config.model.blocks={depth}"]
  config = config_file.read(f"{CONFIG}:method=bi_mamba,smoke", sizes)
  plan = Plan(config)
  network, task = plan.networks[0], plan.task
  optimizer = optim.make_optimizer(config.optim.to_dict(), 100, network.kinds)
  state = jax.eval_shape(lambda: make_state(network, optimizer, 0))
  metrics = jax.eval_shape(task.train_metrics.empty)
  shape = (batch, TOKENS)
  arrays = {
    key: jax.ShapeDtypeStruct(shape, dtype)
    for key, dtype in (
      ("tokens", "int32"),
      ("chars", "int32"),
      ("scored", bool),
    )
  }
  jax.clear_caches()
  began = time.perf_counter()
  train_step = step.make_train_step(
    network, optimizer, task, steps=100, epochs=1.0
  )
  train_step.lower(state, metrics, arrays, None).compile()
  return time.perf_counter() - began


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--batch", type=int, default=4)
  parser.add_argument("--rounds", type=int, default=5)
  parser.add_argument("--json", help="append the measurement to this file")
  args = parser.parse_args()
  jax.config.update("jax_enable_compilation_cache", False)
  times = {depth: [] for depth in DEPTHS}
  for turn in range(args.rounds + 1):  # the first also imports
    for depth in DEPTHS:
      taken = seconds(depth, args.batch)
      if turn:
        times[depth].append(taken)
  shallow, deep = (np.array(times[depth]) for depth in DEPTHS)
  low, middle, high = np.percentile(deep / shallow, [25, 50, 75])
  print(
    f"{DEPTHS[1]} layers compile in {np.median(deep):.2f} s,"
    f" {DEPTHS[0]} in {np.median(shallow):.2f} s: {middle:.2f} times (quartiles"
    f" {low:.2f} to {high:.2f})"
  )
  if args.json:
    with open(args.json, "a") as file:
      line = record_line("compile_layers", args)
      line |= {
        "seconds": {str(k): float(np.median(v)) for k, v in times.items()},
        "ratio": {"median": middle, "quartiles": [low, high]},
      }
      file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
  main()
