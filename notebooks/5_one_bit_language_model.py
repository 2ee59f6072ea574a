# %% [markdown]
# # A 1-bit language model
#
# Bi-Mamba (Tang et al., 2024) is a state space model whose projections have 1-bit
# weights. We train a small one on a slice of Shakespeare's plays, character by
# character, beside its float twin; let both write; and look at the bytes.

# %%
import json
import math
import os
import pathlib
import tempfile
import zlib

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
from flax import nnx

import bnnjax as bx
from bnnjax import config as config_lib
from bnnjax import data
from bnnjax.data import plays
from bnnjax.train import loop, sample

plt.style.use("tableau-colorblind10")

# %%
FAST = bool(os.environ.get("FAST"))  # fewer steps, for the tests
STEPS = 10 if FAST else 400

# %% [markdown]
# ## The text
#
# Seven plays train the model, an eighth tests it. A token is a character.

# %%
tokenizer = data.tokenizer_of("plays_mini", tokenizer="chars")
train, test = (data.load("plays_mini", split) for split in ("train", "test"))
text = tokenizer.decode(train[10]["tokens"])
print(f"{len(tokenizer)} characters, {len(train):,} windows of {len(text)}:\n")
print(text)

# %% [markdown]
# ## Two runs that differ in one word
#
# `use_method` sets the binarizers of a method, or none for `float`. Bi-Mamba keeps
# the activations in float; so does the embedding, which also scores the next
# character.


# %%
def get_config(method):
  config = config_lib.base()
  config.data.update(
    name="plays_mini",
    batch_size=8,
    eval_batch_size=16,
    options={"tokenizer": "chars"},
  )
  config.task = {"name": "language_modeling"}
  config.model = {
    "name": "mamba",
    "features": 96,
    "blocks": 2,
    "state": 32,
    "head_size": 32,
    "chunk": 32,
  }
  config_lib.use_method(config, method)
  config.model.act = None
  config.optim.update(
    name="adamw", lr=3e-3, warmup=0.05, weight_decay=0.1, grad_clip=1.0
  )
  config.steps, config.eval_every = STEPS, 100.0
  if FAST:
    config.model.update(features=32, blocks=1)
    config.data.update(batch_size=2)
  return config


folder = pathlib.Path(tempfile.mkdtemp())
runs = {
  method: loop.train(get_config(method), folder / method)
  for method in ("float", "bi_mamba")
}

# %% [markdown]
# ## Loss against step
#
# In bits per character: what the model would need to compress the text. `zlib -9`, a
# compressor for every purpose, needs about three bits for the test play.

# %%
held_out = plays.mini()["test"].encode()
zlib_bits = 8 * len(zlib.compress(held_out, 9)) / len(held_out)
test_bits = {m: result.metrics["bits_per_char"] for m, result in runs.items()}

figure, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
for method, style, color in (("float", "-", "C0"), ("bi_mamba", "--", "C1")):
  lines = map(json.loads, (folder / method / "metrics.jsonl").open())
  logged = [line for line in lines if "train_loss" in line]
  ax.plot(
    [line["step"] for line in logged],
    [line["train_loss"] / math.log(2) for line in logged],
    style,
    lw=2,
    color=color,
    label=f"{method} (dot: test play, {test_bits[method]:.2f})",
  )
  ax.plot(STEPS, test_bits[method], "o", color=color)
ax.axhline(
  zlib_bits, color="black", ls=":", label=f"zlib -9, test play, {zlib_bits:.2f}"
)
ax.set(
  xlabel="optimizer step",
  ylabel="training loss, bits per character",
  title="The 1-bit model learns, and stays behind its float twin",
)
ax.grid(alpha=0.3)
ax.legend()
plt.show()
assert FAST or test_bits["float"] < test_bits["bi_mamba"] < zlib_bits

# %% [markdown]
# ## What they write
#
# Both continue the same prompt with the same random numbers, drawing from the most
# likely characters that make up 90 % of the probability.

# %%
for method in runs:
  pieces = sample.sample(
    folder / method, "ROMEO. ", 30 if FAST else 300, seed=1, top_p=0.9
  )
  written = "".join(piece for (piece,) in pieces)
  print(f"----- {method}\nROMEO. {written}\n")
  assert written

# %% [markdown]
# Neither model writes English after so short a training. They have learned how
# a play is laid out, how long words are, and some of the short ones. The paper trains
# on as much text as float models see, and its student learns from the probabilities
# of a float teacher (`config.task.distill`).

# %% [markdown]
# ## What is stored
#
# A sign takes one bit; the scale and the shift that each projection has for every
# input feature are float, like embedding, norms and convolutions. The report lists
# what a deployed network stores.


# %%
def kilobytes(report):
  """Stored kB of the projections, of the embedding, and of all the rest."""
  found = {"projections": 0, "embedding": 0, "scales, shifts, norms, ...": 0}
  for array in report.parameters:
    if array.path == "embedding":
      part = "embedding"
    elif array.path.endswith("_proj.kernel"):
      part = "projections"
    else:
      part = "scales, shifts, norms, ..."
    found[part] += array.size * array.bits / 8 / 1000
  return found


stored = {method: kilobytes(result.report) for method, result in runs.items()}
figure, ax = plt.subplots(figsize=(7, 2.4), layout="constrained")
left = dict.fromkeys(stored, 0)
for part in stored["float"]:
  widths = [stored[method][part] for method in stored]
  ax.barh(list(stored), widths, left=list(left.values()), label=part)
  left = {method: left[method] + w for method, w in zip(left, widths)}
for method, result in runs.items():
  ax.text(
    left[method],
    method,
    f" {result.report.bits_per_weight:.1f} bits/weight",
    va="center",
  )
ax.set(
  xlabel="stored kB",
  xlim=(0, 1.3 * left["float"]),
  title="One bit leaves mostly what is not binary",
)
ax.legend(loc="lower right")
ax.invert_yaxis()
plt.show()

one_bit = stored["bi_mamba"]
print({part: f"{kb:.1f} kB" for part, kb in one_bit.items()})
assert stored["float"]["projections"] == 32 * one_bit["projections"]
assert one_bit["projections"] < sum(one_bit.values()) / 2

# %% [markdown]
# In a small model the float parts dominate. Projections grow with the square of the
# width, everything else in proportion to it, so that the bits per weight of large
# models come closer to one. Counting needs shapes only: the published sizes can be
# counted here, without memory for their weights.


# %%
def count(variant, vocab):
  """The cost of one token of a Bi-Mamba."""
  model = {"name": "mamba", "variant": variant, "weight": "bi_mamba"}
  abstract = nnx.eval_shape(
    lambda: bx.build(model, vocab=vocab, rngs=nnx.Rngs(0))
  )
  return bx.count(abstract, jax.ShapeDtypeStruct((1, 1), jnp.int32))


# %% [markdown]
# ## Change this line
#
# The float embedding has a row for each of the 32,000 tokens, and half of the bytes of
# the largest model. Make `VOCAB` 256, the number of bytes: the bits per weight fall
# below 1.2.

# %%
VOCAB = 32_000
counted = {size: count(size, VOCAB) for size in ("780M", "1.3B", "2.7B")}
for size, report in counted.items():
  embedding = kilobytes(report)["embedding"] / 1000
  print(
    f"{size}  {report.weight_bytes('deployed') / 1e6:4.0f} MB"
    f"  ({embedding:3.0f} MB embedding)"
    f"  {report.bits_per_weight:.2f} bits per weight"
  )
each = [report.bits_per_weight for report in counted.values()]
assert each == sorted(each, reverse=True)
