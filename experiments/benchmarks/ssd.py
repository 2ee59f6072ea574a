r"""Time of Mamba-2's recurrence in chunks, token by token and as a prefix sum.

  python experiments/benchmarks/ssd.py --json experiments/results/benchmarks.jsonl

Forward and backward for all four operands, on one text, with 4 heads of 64
features and states of 64. Each form runs in turns with the chunked one, in one
process. It prints the medians of the ratios of all rounds, and the memory that
XLA plans for temporaries. At every length it checks that all three give the
same.
"""

import argparse
import json

import jax
import jax.numpy as jnp
import numpy as np
from timing import record_line, timed

from bnnjax.layers.ssd import ssd, ssd_sequential

LENGTHS = (256, 1024, 4096)
HEADS, SIZE, STATE = 4, 64, 64


def ssd_associative(x, a, b, c):
  """All states at once by `jax.lax.associative_scan`: memory `T P N`."""
  added = jnp.einsum("bthp,btgn->bthpn", x, b)
  decay = jnp.exp(a)[..., None, None]

  def combine(before, after):
    return before[0] * after[0], after[0] * before[1] + after[1]

  _, states = jax.lax.associative_scan(combine, (decay, added), axis=1)
  return jnp.einsum("bthpn,btgn->bthp", states, c), states[:, -1]


SIDES = {
  "chunked": ssd,
  "sequential": ssd_sequential,
  "associative": ssd_associative,
}


def operands(batch: int, length: int) -> tuple[jax.Array, ...]:
  keys = jax.random.split(jax.random.key(0), 4)
  x = jax.random.normal(keys[0], (batch, length, HEADS, SIZE))
  a = -jax.random.uniform(keys[1], (batch, length, HEADS))
  b, c = (jax.random.normal(k, (batch, length, 1, STATE)) for k in keys[2:])
  return x, a, b, c


def compiled(recurrence, given):
  """The compiled gradient of the mean square of what a recurrence gives."""

  def loss(*operands):
    y, state = recurrence(*operands)
    return jnp.mean(jnp.square(y)) + jnp.mean(jnp.square(state))

  return jax.jit(jax.grad(loss, argnums=(0, 1, 2, 3))).lower(*given).compile()


def make_side(step, given):
  """A closure that runs a compiled step and waits for it."""
  return lambda: jax.block_until_ready(step(*given))


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--batch", type=int, default=1)
  parser.add_argument("--rounds", type=int, default=9)
  parser.add_argument("--json", help="append the measurement to this file")
  args = parser.parse_args()
  found = {}
  for length in LENGTHS:
    given = operands(args.batch, length)
    steps = {name: compiled(f, given) for name, f in SIDES.items()}
    want = steps["sequential"](*given)
    for name, step in steps.items():
      for got, grad in zip(step(*given), want):
        error = jnp.max(jnp.abs(got - grad)) / jnp.max(jnp.abs(grad))
        assert error < 1e-4, f"{name}: gradients are off by {error}"
    found[length] = {}
    for name, step in steps.items():
      # In pairs: the gigabytes that a third form leaves would slow the others.
      pair = {key: make_side(steps[key], given) for key in ("chunked", name)}
      times = timed(pair, args.rounds)
      low, middle, high = np.percentile(
        times[name] / times["chunked"], [25, 50, 75]
      )
      ms = 1e3 * float(np.median(times[name]))
      memory = step.memory_analysis().temp_size_in_bytes
      found[length][name] = {
        "ms": ms,
        "ratio": {"median": middle, "quartiles": [low, high]},
        "temporary_bytes": memory,
      }
      print(
        f"{length:5} tokens {name:12} {ms:9.2f} ms, {middle:6.2f} times chunked"
        f" (quartiles {low:.2f} to {high:.2f}), {memory / length:9,.0f} bytes a"
        " token",
        flush=True,
      )
  if args.json:
    with open(args.json, "a") as file:
      line = record_line("ssd", args) | {"lengths": found}
      file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
  main()
