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

figure, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
for method, style in (("float", "-"), ("bi_mamba", "--")):
  lines = map(json.loads, (folder / method / "metrics.jsonl").open())
  logged = [line for line in lines if "train_loss" in line]
  ax.plot(
    [line["step"] for line in logged],
    [line["train_loss"] / math.log(2) for line in logged],
    style,
    lw=2,
    label=f"{method}, training text",
  )
ax.axhline(zlib_bits, color="black", ls=":", label="zlib -9, test play")
ax.set(
  xlabel="optimizer step",
  ylabel="loss, bits per character",
  title="The 1-bit model learns, and stays behind its float twin",
)
ax.grid(alpha=0.3)
ax.legend()
plt.show()

# %%
bits = {m: result.metrics["bits_per_char"] for m, result in runs.items()}
print(f"zlib -9   {zlib_bits:.2f} bits per character of the test play")
for method, value in bits.items():
  print(f"{method:9} {value:.2f}")
assert FAST or bits["float"] < bits["bi_mamba"] < zlib_bits

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
# Be honest about it: after a minute of training, neither model writes English. They
# have learned how a play is laid out, how long words are, and some of the short ones.
# The 1-bit model makes up words a little more freely. The paper trains on a hundred
# billion tokens or so, and lets the student learn from the probabilities of a float
# teacher (`config.task.distill`).

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

ratio = stored["float"]["projections"] / stored["bi_mamba"]["projections"]
print(f"projections: {ratio:.0f} times smaller")
assert ratio == 32
one_bit = runs["bi_mamba"].report
assert one_bit.bits_per_weight > 1.5  # embedding, scales, ...

# %% [markdown]
# In a small model the float parts dominate. Projections grow with the square of the
# width, everything else in proportion to it: a large model gets close to one bit per
# weight. Counting needs shapes only, so that the published sizes can be counted
# here, too, without memory for their weights.


# %%
def count(**sizes):
  """The cost of one token of a 1-bit Mamba-2."""
  model = {"name": "mamba", "weight": "bi_mamba", **sizes}
  abstract = nnx.eval_shape(
    lambda: bx.build(model, vocab=32_000, rngs=nnx.Rngs(0))
  )
  return bx.count(abstract, jax.ShapeDtypeStruct((1, 1), jnp.int32))


for size in ("780M", "1.3B", "2.7B"):
  report = count(variant=size)
  print(
    f"{size:5} {report.weight_bytes('deployed') / 1e6:6.0f} MB"
    f"  {report.bits_per_weight:.2f} bits per weight"
  )
