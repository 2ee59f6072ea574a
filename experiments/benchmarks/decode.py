r"""Does a Mamba need longer for a token after a longer text?

  python experiments/benchmarks/decode.py --json experiments/results/benchmarks.jsonl

Times a sampling step of a 1-bit Mamba-2 and of a 1-bit decoder with a cache of
8,256 keys and values, after 128 to 8,192 tokens. All of them run in one
process, and every round runs each. It prints tokens per second and the bytes
that are kept of earlier tokens.
"""

import argparse
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from timing import record_line, timed

from bnnjax import models
from bnnjax.core.progress import DEPLOYED

CONTEXTS = (128, 1024, 8192)
STEPS = 32  # of one timing
VOCAB = 96
MODELS = {
  "mamba": {"name": "mamba", "variant": "small"},
  "decoder": {
    "name": "decoder", "features": 256, "blocks": 4, "heads": 4, "hidden": 688,
    "max_len": max(CONTEXTS) + 64,
  },
}  # fmt: skip


def make_side(config: dict, context: int, batch: int):
  """A closure that draws `STEPS` tokens, and the bytes of its caches."""
  model = models.build(config, vocab=VOCAB, rngs=nnx.Rngs(0))
  graph, state = nnx.split(model)

  @functools.partial(jax.jit, donate_argnums=1)  # as `generate` does
  def advance(state, caches, tokens):
    model = nnx.merge(graph, state)
    logits, caches = model(tokens, DEPLOYED, caches=caches)
    return jnp.argmax(logits[:, -1:], -1), caches

  text = jax.random.randint(jax.random.key(1), (batch, context), 0, VOCAB)
  caches, last = model.empty_caches(batch), None
  for piece in jnp.split(text, max(1, context // 1024), axis=1):
    last, caches = advance(state, caches, piece)

  def run():
    token, now = last, jax.tree.map(jnp.copy, caches)
    for _ in range(STEPS):
      token, now = advance(state, now, token)
    jax.block_until_ready(token)

  return run, sum(x.nbytes for x in jax.tree.leaves(caches))


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--batch", type=int, default=1)
  parser.add_argument("--rounds", type=int, default=15)
  parser.add_argument("--json", help="append the measurement to this file")
  args = parser.parse_args()
  made = {
    (name, context): make_side(config, context, args.batch)
    for name, config in MODELS.items()
    for context in CONTEXTS
  }
  times = timed({side: run for side, (run, _) in made.items()}, args.rounds)
  rows = []
  for (name, context), seconds in times.items():
    rate = args.batch * STEPS / seconds
    low, middle, high = np.percentile(rate, [25, 50, 75])
    ratio = float(np.median(seconds / times[name, CONTEXTS[0]]))
    size = made[name, context][1]
    rows.append(
      {
        "model": name,
        "context": context,
        "tokens_per_s": middle,
        "quartiles": [low, high],
        "time_ratio": ratio,
        "cache_bytes": size,
      }
    )
    print(
      f"{name:8} after {context:5} tokens: {middle:7.1f} tokens/s (quartiles"
      f" {low:.1f} to {high:.1f}), {ratio:.3f} of the time after"
      f" {CONTEXTS[0]}, {size:,} bytes kept"
    )
  if args.json:
    with open(args.json, "a") as file:
      line = record_line("decode", args) | {"rows": rows}
      file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
  main()
