r"""Does EcoFormer's attention grow linearly with the number of tokens?

  python experiments/linear_attention.py

Times one attention layer (forward, batch 1) of EcoFormer and of softmax in
turns, at 256 to 8,192 tokens, and reports time, ACE and the memory that XLA
plans for temporaries. Appends to `results/linear_attention.jsonl` and draws
`results/linear_attention.png` from its last line.
"""

import argparse
import json
import pathlib
import sys

import jax
import numpy as np
from flax import nnx

RESULTS = pathlib.Path(__file__).parent / "results"
sys.path.insert(0, str(pathlib.Path(__file__).parent / "benchmarks"))

from timing import record_line, timed  # noqa: E402

import bnnjax.methods  # noqa: E402, F401 (registers them)
from bnnjax import cost  # noqa: E402
from bnnjax.layers.attention import Attention, options  # noqa: E402

LENGTHS = (256, 512, 1024, 2048, 4096, 8192)
FEATURES, HEADS = 128, 2
SIDES = {"EcoFormer": "ecoformer", "softmax": None}


def measure(method: str | None, tokens: int):
  """A closure to time, ACE, and bytes of temporaries."""
  layer = Attention(FEATURES, HEADS, **options(method), rngs=nnx.Rngs(0))
  x = jax.random.normal(jax.random.key(0), (1, tokens, FEATURES))
  graph, state = nnx.split(layer)
  step = jax.jit(lambda state, x: nnx.merge(graph, state)(x))
  compiled = step.lower(state, x).compile()
  memory = compiled.memory_analysis().temp_size_in_bytes
  ace = cost.count(layer, jax.ShapeDtypeStruct(x.shape, x.dtype)).ace
  return lambda: jax.block_until_ready(compiled(state, x)), ace, memory


def run(args: argparse.Namespace) -> dict:
  """The measurement of every length and side."""
  found = {name: [] for name in SIDES}
  for tokens in LENGTHS:
    sides = {name: measure(method, tokens) for name, method in SIDES.items()}
    times = timed({k: s[0] for k, s in sides.items()}, args.rounds)
    for name, (_, ace, memory) in sides.items():
      low, middle, high = np.percentile(times[name] * 1e3, [25, 50, 75])
      found[name].append(
        {
          "tokens": tokens,
          "ms": middle,
          "quartiles": [low, high],
          "ace": ace,
          "temporary_bytes": memory,
        }
      )
      print(
        f"{name:10} {tokens:5} tokens {middle:9.2f} ms  ACE {ace:.3e}"
        f"  {memory / tokens:10,.0f} bytes a token",
        flush=True,
      )
  return record_line("linear_attention", args) | {"sides": found}


def draw(line: dict, path: pathlib.Path) -> None:
  """Time, ACE and memory against tokens."""
  from matplotlib.figure import Figure

  panels = {
    "ms": "ms (forward, batch 1)",
    "ace": "ACE",
    "temporary_bytes": "bytes of temporaries",
  }
  figure = Figure(figsize=(11, 3.4), layout="constrained")
  for ax, (key, label) in zip(figure.subplots(1, 3), panels.items()):
    for name, rows in line["sides"].items():
      tokens = [r["tokens"] for r in rows]
      ax.loglog(tokens, [r[key] for r in rows], "o-", label=name)
    ax.set_xlabel("tokens")
    ax.set_ylabel(label)
    ax.set_xticks(LENGTHS, [str(n) for n in LENGTHS])
    ax.minorticks_off()
  figure.axes[0].legend(frameon=False)
  figure.suptitle(f"Attention, width {FEATURES}, on {line['device']}")
  figure.savefig(path, dpi=100)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--rounds", type=int, default=9)
  parser.add_argument("--batch", type=int, default=1, choices=[1])
  args = parser.parse_args()
  line = run(args)
  with open(RESULTS / "linear_attention.jsonl", "a") as file:
    file.write(json.dumps(line) + "\n")
  draw(line, RESULTS / "linear_attention.png")


if __name__ == "__main__":
  main()
