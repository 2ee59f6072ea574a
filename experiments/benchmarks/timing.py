"""Timing closures in one process, and the line that a benchmark records."""

import argparse
import time

import numpy as np

from bnnjax.report import provenance


def timed(sides: dict, rounds: int) -> dict[str, np.ndarray]:
  """Seconds of every side in every round; the sides take turns."""
  times = {name: [] for name in sides}
  for turn in range(rounds + 3):
    for name, run in sides.items():
      began = time.perf_counter()
      run()
      if turn >= 3:  # compilation, allocation, donation have settled
        times[name].append(time.perf_counter() - began)
  return {name: np.array(seconds) for name, seconds in times.items()}


def record_line(benchmark: str, args: argparse.Namespace) -> dict:
  """What a line says of its measurement."""
  return {
    "benchmark": benchmark,
    "batch": args.batch,
    "rounds": args.rounds,
    "device": provenance.device(),
    "commit": provenance.git_commit(),
    "versions": provenance.versions(),
  }
