# %% [markdown]
# # A first PokeBNN
#
# PokeBNN (Zhang et al., CVPR 2022) is a convolutional network with 1-bit weights and
# activations. We train a small one on embedded images, look at what it costs, and
# place it on a figure of accuracy against cost, beside the same network with half
# the channels, with 4 bits, and in float.

# %%
import json
import os
import pathlib
import tempfile

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
from flax import nnx

import bnnjax as bx
from bnnjax import config as config_lib
from bnnjax.train import loop

plt.style.use("tableau-colorblind10")

# %%
FAST = bool(os.environ.get("FAST"))  # fewer steps and networks, for the tests

# %% [markdown]
# ## A run is a config
#
# `base` returns every field with its default; we set those that differ. The network
# has two stages of one block; a block has three binary convolutions. Stem and
# classifier have 8 bits and the gates 4, as in the paper.


# %%
def get_config(bits=1, width=1.0):
  config = config_lib.base()
  config.data.update(name="fashion_mnist_mini", augment=("flip",))
  config.epochs = config.eval_every = 3.0
  config.model = {
    "name": "pokebnn",
    "width": width,
    "stages": ((16, 1), (32, 1)),  # channels and blocks
    "kernels": (3, 3, 3),
    "expansion": 1,
    "patch": 4,
    "init_features": 8,
    "stem_features": 16,
  }
  config.optim.update(lr=1e-2, warmup=0.05, weight_decay=5e-5)
  set_bits(config, bits)
  if FAST:
    config.steps = 8
    config.data.update(batch_size=32, eval_split="test[:128]")
    config.model.stages = ((16, 1),)
  return config


# %% [markdown]
# By default the body has one bit. Other networks get another binarizer: a symmetric
# grid of 4 bits, or none at all. The bounds of the activations are running averages
# at first. PokeBNN freezes them early in training: an *event* of the loop.


# %%
def set_bits(config, bits):
  if bits == 32:
    for name in ("weight", "act", "init_bits", "se_bits", "head_bits"):
      config.model[name] = None
    return
  if bits > 1:
    config.model.weight = f"symmetric(bits={bits})|channel_max"
    config.model.act = f"symmetric(bits={bits})|ema_bound"
  config.events = ((0.0625, "freeze_bounds"),)


# %% [markdown]
# ## Train
#
# A run lives in a folder of its own. Repeating the call resumes a run that was
# stopped. 10,000 images train it, 2,000 test it.

# %%
folder = pathlib.Path(tempfile.mkdtemp())
poke = loop.train(get_config(), folder / "1 bit", name="1 bit")

# %% [markdown]
# The loop writes its metrics as JSON lines.

# %%
lines = map(json.loads, (folder / "1 bit/metrics.jsonl").open())
logged = [line for line in lines if "train_loss" in line]

figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
ax.plot(
  [line["step"] for line in logged],
  [line["train_loss"] for line in logged],
  marker="o",
  ms=4,
)
ax.set(
  xlabel="optimizer step",
  ylabel="training loss, nats",
  title="The 1-bit network learns",
)
ax.grid(alpha=0.3)
plt.show()
accuracy = poke.metrics["accuracy"]
print(f"test accuracy of the deployed network: {100 * accuracy:.1f} %")
assert FAST or accuracy > 0.7

# %% [markdown]
# ## What it costs
#
# The *ACE* of a layer is its multiply-accumulates (MACs) times weight bits times
# activation bits, where a float counts as 16 bits. The binary MACs alone are the
# *BOPs*.

# %%
cost = poke.report
body = cost.macs[1, 1]
print(f"ACE    {cost.ace:,}")
print(f"BOPs   {cost.bops:,}: {body / cost.total_macs:.0%} of the MACs")
print(f"bytes  {cost.weight_bytes('deployed'):,}, all that is stored")
assert cost.bops == body

# %% [markdown]
# Who spends the ACE? Almost all MACs have one bit, but each of the few 8-bit ones, in
# the stem and in the classifier, costs 64 times as much.

# %%
macs = {bits: n / cost.total_macs for bits, n in cost.macs.items()}
ace = {(w, a): n * w * a / cost.ace for (w, a), n in cost.macs.items()}

figure, ax = plt.subplots(figsize=(7, 2), layout="constrained")
left = [0, 0]
for w, a in cost.macs:
  widths = [100 * macs[w, a], 100 * ace[w, a]]
  ax.barh(["MACs", "ACE"], widths, left=left, label=f"{w}-bit x {a}-bit")
  left = [x + width for x, width in zip(left, widths)]
ax.set(
  xlabel="share, %",
  xlim=(0, 100),
  title="The MACs are binary, half of the ACE is not",
)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
ax.invert_yaxis()
plt.show()
print(f"8 bits: {macs[8, 8]:.1%} of the MACs, {ace[8, 8]:.0%} of the ACE")
assert macs[1, 1] > 0.9
assert ace[8, 8] > 0.4

# %% [markdown]
# ## Its place among others
#
# The same training for the same network with half the channels, with 4 bits, and in
# float.

# %%
others = {
  "1 bit, half as wide": get_config(width=0.5),
  "4 bits": get_config(bits=4),
  "float": get_config(bits=32),
}
if FAST:
  others = {"float": others["float"]}
results = {"1 bit": poke}
for name, config in others.items():
  results[name] = loop.train(config, folder / name, name=name)

# %% [markdown]
# Every run left a record with its config, accuracy and cost. `bx.report` reads the
# records of a folder, and draws the accuracy against the ACE. The step line is the
# *Pareto front*: no other point is cheaper and better.

# %%
runs = bx.report.load(folder)
figure = runs.plot(by="name")
figure

# %% [markdown]
# Read it with care. One seed does not separate networks that are a point apart, and
# nobody chose the learning rate of each. A run of a minute on 10,000 images also says
# little about what PokeBNN can do: the records of the repository
# (`experiments/pareto.md`) have three seeds, chosen rates and 10,000 test images, so
# that these points do not belong into their figure.
#
# What one can see is the price of float: 1 bit costs a small part of its ACE.

# %%
for name, result in results.items():
  report = result.report
  print(
    f"{name:20} accuracy {100 * result.metrics['accuracy']:.1f} %"
    f"  ACE {report.ace:12,}  bytes {report.weight_bytes('deployed'):8,}"
  )
float_cost = results["float"].report
assert float_cost.ace > 50 * cost.ace
assert float_cost.weight_bytes("deployed") > 5 * cost.weight_bytes("deployed")

# %% [markdown]
# ## Change this line
#
# The stem has 8 bits, and half of the ACE. Give it 4: a network is counted without
# being trained, and the ACE falls by more than a third. Whether the accuracy holds,
# only training can tell: add `init_bits` to the model in `get_config`, and run all.

# %%
STEM_BITS = 8
model = {**get_config().model, "init_bits": STEM_BITS}
abstract = nnx.eval_shape(
  lambda: bx.build(
    model, num_classes=10, image_shape=(28, 28, 1), rngs=nnx.Rngs(0)
  )
)
counted = bx.count(abstract, jax.ShapeDtypeStruct((1, 28, 28, 1), jnp.float32))
print(f"ACE {counted.ace:,}, {counted.ace / cost.ace:.0%} of the above")
assert STEM_BITS != 8 or counted.ace == cost.ace
