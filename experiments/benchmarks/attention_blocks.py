r"""Training-step time of binary encoder blocks over that of the float block.

  python experiments/benchmarks/attention_blocks.py --json experiments/results/benchmarks.jsonl

One block of width 256 with 4 heads on 128 tokens; forward and backward for
input and parameters. All blocks run in one process, and every round runs each
of them. It prints the medians of the ratios of all rounds, and the
multiply-accumulates and element-wise operations that the forward pass needs
beyond the float block's.
"""

import argparse
import json

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from timing import record_line, timed

import bnnjax.methods  # noqa: F401 (registers them)
from bnnjax import cost
from bnnjax.core import registry
from bnnjax.core.progress import Mode, Progress
from bnnjax.layers.transformer import Encoder, EncoderBlock

METHODS = ("bibert", "bipft", "bivit", "ecoformer")
FEATURES, HEADS, TOKENS = 256, 4, 128
LIMIT = 1.15
MODE = Mode.training(Progress.at(0, 100, 1.0))


def make_block(method: str | None) -> EncoderBlock:
  """The encoder block with a method, or the float one."""
  preset = method and registry.get("method", method)
  low = {
    role: method if preset and getattr(preset, role).spec else None
    for role in ("weight", "act")
  }
  encoder = Encoder(
    FEATURES, HEADS, 4 * FEATURES, **low, attention=method, norm="post"
  )
  return EncoderBlock(encoder, rngs=nnx.Rngs(0))


def make_side(block: EncoderBlock, batch: int):
  """A closure that runs a forward and backward pass and waits for it."""
  graph, params, rest = nnx.split(block, nnx.Param, ...)
  params, rest = nnx.to_pure_dict(params), nnx.to_pure_dict(rest)
  x = jax.random.normal(jax.random.key(0), (batch, TOKENS, FEATURES))

  @jax.jit
  def step(params, x):
    def loss(params, x):
      y = nnx.merge(graph, params, rest)(x, MODE)
      return jnp.mean(jnp.square(y))

    return jax.value_and_grad(loss, argnums=(0, 1))(params, x)

  return lambda: jax.block_until_ready(step(params, x))


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--batch", type=int, default=16)
  parser.add_argument("--rounds", type=int, default=25)
  parser.add_argument("--json", help="append the measurement to this file")
  args = parser.parse_args()
  blocks = {name: make_block(name) for name in METHODS}
  blocks["float"] = make_block(None)
  sides = {k: make_side(b, args.batch) for k, b in blocks.items()}
  times = timed(sides, args.rounds)
  example = jax.ShapeDtypeStruct((1, TOKENS, FEATURES), jnp.float32)
  reports = {k: cost.count(b, example) for k, b in blocks.items()}
  macs = {k: r.total_macs for k, r in reports.items()}
  work = {k: sum(n for *_, n in r.work) for k, r in reports.items()}
  ratios = {}
  for name in METHODS:
    low, middle, high = np.percentile(
      times[name] / times["float"], [25, 50, 75]
    )
    extra = macs[name] - macs["float"]
    ratios[name] = {
      "median": middle,
      "quartiles": [low, high],
      "extra_macs": extra,
      "extra_elementwise": work[name] - work["float"],
    }
    flag = "" if middle <= LIMIT else f"  above {LIMIT}"
    print(
      f"{name:10} {middle:.3f} (quartiles {low:.3f} to {high:.3f}), MACs"
      f" {extra:+,} of {macs['float']:,}, element-wise"
      f" {work[name] - work['float']:+,} of {work['float']:,}{flag}"
    )
  if args.json:
    with open(args.json, "a") as file:
      line = record_line("attention_blocks", args)
      line |= {"ratios": ratios, "macs": macs["float"]}
      line["elementwise"] = work["float"]
      file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
  main()
