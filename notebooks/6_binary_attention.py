# %% [markdown]
# # Binary attention
#
# Attention weighs every token by a probability. What is left of it when that weight is
# a bit? We train a small vision transformer with float attention, then with the
# binary attention of BiBERT (Qin et al., 2022) and of BiViT (He et al., 2023), and
# draw what each of them attends to.

# %%
import os
import pathlib
import tempfile

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from flax import nnx

import bnnjax as bx
from bnnjax import config as config_lib
from bnnjax import data
from bnnjax.train import loop

plt.style.use("tableau-colorblind10")

# %%
FAST = bool(os.environ.get("FAST"))  # fewer steps, for the tests
STEPS = {"float": 500, "bibert": 250, "bivit": 250}
if FAST:
  STEPS = {"float": 8, "bibert": 4, "bivit": 4}

# %% [markdown]
# ## Three networks
#
# Only the two products of attention are binary here, queries with keys and the map
# with the values, so that nothing else blurs the comparison; projections and MLPs are
# float. An image of 28 x 28 pixels becomes 49 patches and a class token.


# %%
def get_config(method, init=""):
  config = config_lib.base()
  config.data.update(name="fashion_mnist_mini", batch_size=64)
  config.model = {
    "name": "vit",
    "patch": 4,
    "features": 64,
    "heads": 2,
    "blocks": 2,
    "weight": None,
    "act": None,
    "attention": method,
  }
  config.optim.update(name="adamw", lr=2e-3, warmup=0.1, weight_decay=0.05)
  config.steps, config.eval_every, config.init = STEPS[method], 100.0, init
  if FAST:
    config.data.update(batch_size=16, eval_split="test[:128]")
    config.model.update(features=16, blocks=1)
  return config


# %% [markdown]
# As in both papers, the binary networks start from the weights of the trained float
# network (`init`).

# %%
folder = pathlib.Path(tempfile.mkdtemp())
results = {"float": loop.train(get_config("float"), folder / "float")}
for method in ("bibert", "bivit"):
  config = get_config(method, init=str(folder / "float"))
  results[method] = loop.train(config, folder / method)

for method, result in results.items():
  print(f"{method:7} test accuracy {100 * result.metrics['accuracy']:.1f} %")

assert FAST or min(r.metrics["accuracy"] for r in results.values()) > 0.5

# %% [markdown]
# One seed and a minute do not rank the two methods. `experiments/bivit.md` of the
# repository compares them with three seeds, in a fully binary network.
#
# ## Collect the maps
#
# `bx.collect` shows what enters a layer to a *collector*, here one that keeps it.
# `low_probs` is the binarizer of the map: what enters it are probabilities in float
# and in BiViT, and scores $q k^T / \sqrt{d}$ in BiBERT, which has no softmax.


# %%
@bx.collector(init=jnp.zeros)
def keep(state, x):
  """The last tensor itself."""
  return x


def before_and_after(model, images):
  """What becomes the map of the last block, and the map, `[N, heads, T, T]`."""
  last = len(model.blocks) - 1
  path = f"blocks.{last}.attention.low_probs"
  _, seen = bx.collect(model, {path.replace(".", r"\."): keep}, images)
  before = after = seen[path]
  binarize = model.blocks[last].attention.low_probs
  if binarize.binarizer is not None:
    after = binarize(before).dequantize()
  return np.asarray(before), np.asarray(after)


# %%
source = data.load("fashion_mnist_mini", "test")
batch = next(iter(data.make_eval_batches(source, batch_size=256)))
before, maps = {}, {}
for method in results:
  model, _ = bx.load(folder / method)
  before[method], maps[method] = before_and_after(model, batch["image"])

assert np.allclose(maps["float"].sum(-1), 1, atol=1e-3)
assert set(np.unique(maps["bibert"])) == set(np.unique(maps["bivit"])) == {0, 1}

# %% [markdown]
# The two rules are one line each. BiBERT sets the bit where the score is positive.
# BiViT sets it where the probability is at least a quarter of the largest of its row,
# so that every query keeps at least one key.

# %%
assert (maps["bibert"] == (before["bibert"] > 0)).all()
largest = before["bivit"].max(-1, keepdims=True)
assert (maps["bivit"] == (before["bivit"] >= largest / 4)).all()
assert (maps["bivit"].sum(-1) >= 1).all()

# %% [markdown]
# ## What the class token attends to
#
# The class token is the first of the 50 tokens, and what the classifier reads. Its
# row of the map has a number for each of 7 x 7 patches: yellow patches are attended
# to, dark ones are not.

# %%
NAMES = {"float": "float", "bibert": "BiBERT", "bivit": "BiViT"}
pictures = [
  int(np.argmax(batch["label"] == label)) for label in (0, 1, 5, 8, 9)
]
HEAD = 0
figure, axes = plt.subplots(
  4, len(pictures), figsize=(8, 6.6), layout="constrained"
)
for column, number in zip(axes.T, pictures):
  for ax in column:
    ax.imshow(batch["image"][number, ..., 0], cmap="gray")
    ax.set(xticks=[], yticks=[])
  for ax, found in zip(column[1:], maps.values()):
    seen = found[number, HEAD, 0, 1:].reshape(7, 7)
    shown = ax.imshow(
      seen / max(seen.max(), 1e-9),
      cmap="viridis",
      alpha=0.75,
      vmin=0,
      vmax=1,
      extent=(-0.5, 27.5, 27.5, -0.5),
    )
for ax, name in zip(axes[:, 0], ("image", *NAMES.values())):
  ax.set_ylabel(name)
figure.colorbar(
  shown, ax=axes[1:], label="attention, relative to the largest of the image"
)
figure.suptitle(
  "Attention of the class token: shades in float, a mask in 1 bit"
)
plt.show()

# %% [markdown]
# ## A whole map
#
# Rows are queries, columns are keys, for the first picture above. The float map
# has shades between; in 1 bit, a key is read or it is not.

# %%
figure, axes = plt.subplots(
  1, 3, figsize=(9, 3.4), sharey=True, layout="constrained"
)
for ax, (method, found) in zip(axes, maps.items()):
  one = found[pictures[0], HEAD]
  largest = np.maximum(one.max(-1, keepdims=True), 1e-9)
  shown = ax.imshow(one / largest, cmap="viridis", vmin=0, vmax=1)
  ax.set(title=NAMES[method], xlabel="key")
axes[0].set_ylabel("query")
figure.colorbar(shown, ax=axes, label="relative to the largest of the row")
figure.suptitle("One head's map: 50 x 50 numbers, and 50 x 50 bits")
plt.show()

# %% [markdown]
# ## How many keys?
#
# A query that spreads its attention evenly over $n$ keys has the entropy $\log_2 n$,
# so that 2 to the power of the entropy is an effective number of keys. A bit map is
# even by nature: it is the number of ones. In BiBERT it may be 0: such a query reads
# nothing.


# %%
def keys_of(found):
  """Effective number of keys of each query, over all images and heads."""
  if set(np.unique(found)) <= {0, 1}:
    return found.sum(-1).ravel()
  entropy = -np.sum(found * np.log2(np.maximum(found, 1e-30)), axis=-1)
  return 2 ** entropy.ravel()


figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
looks = (("-", "C0"), ("--", "C1"), (":", "black"))
for (method, found), (style, color) in zip(maps.items(), looks):
  keys = keys_of(found)
  ax.hist(
    keys,
    np.arange(-0.5, 51, 3),
    density=True,
    histtype="step",
    lw=2,
    ls=style,
    color=color,
    label=f"{NAMES[method]}: median {np.median(keys):.0f}",
  )
  assert (keys <= 50.01).all()
ax.set(
  xlabel="effective number of keys of a query (of 50)",
  ylabel="share of the queries, per key",
  ylim=(0, 0.06),
  title="How many keys a query attends to",
)
ax.grid(alpha=0.3)
ax.legend()
plt.show()

# %% [markdown]
# BiBERT's argument is the entropy of the bits themselves: a bit that is 1 half of the
# time carries most information. The sign of a probability is always 1, has no entropy
# and says nothing: this is why softmax must go, or needs a threshold.

# %%
for method in ("bibert", "bivit"):
  ones = maps[method].mean()
  bits = -ones * np.log2(ones) - (1 - ones) * np.log2(1 - ones)
  print(f"{NAMES[method]:7} {ones:.0%} ones, {bits:.2f} bits of entropy each")
  assert bits > 0.5
always = np.asarray(bx.sign(jnp.asarray(before["float"])))
print(f"sign of a probability: {always.mean():.0%} ones")
assert (always == 1).all()

# %% [markdown]
# ## What it costs
#
# The two products grow with the square of the number of tokens, everything else in
# proportion to it. At 50 tokens they have a small part of the ACE; in larger images
# binary attention pays. Counting needs no training.


# %%
def ace_of(method, side):
  """ACE of the network for an image of `side` x `side` pixels."""
  shape = (side, side, 1)
  abstract = nnx.eval_shape(
    lambda: bx.build(
      get_config(method).model,
      num_classes=10,
      image_shape=shape,
      rngs=nnx.Rngs(0),
    )
  )
  return bx.count(abstract, jax.ShapeDtypeStruct((1, *shape), jnp.float32)).ace


sides = (28, 56) if FAST else (28, 56, 112, 224)
tokens = [1 + (side // 4) ** 2 for side in sides]
ace = {m: [ace_of(m, side) for side in sides] for m in ("float", "bivit")}
assert FAST or ace["bivit"][0] == results["bivit"].report.ace

figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
for (method, values), style in zip(ace.items(), ("o-", "s--")):
  ax.loglog(tokens, values, style, lw=2, label=f"{NAMES[method]} attention")
ax.set(
  xlabel="tokens",
  ylabel="ACE",
  title="In 1 bit, the quadratic part of the ACE all but vanishes",
)
ax.set_xticks(tokens, map(str, tokens), minor=False)
ax.minorticks_off()
ax.grid(alpha=0.3)
ax.legend()
plt.show()
ratio = [whole / low for whole, low in zip(ace["float"], ace["bivit"])]
print("float / binary:", ", ".join(f"{r:.1f}" for r in ratio))
assert ratio == sorted(ratio)

# %% [markdown]
# ## Change this line
#
# `SHARE` is the threshold of BiViT, relative to the largest probability of a row.
# Below it is applied to the probabilities of the float network. Make it `0.5`: fewer
# keys are left, and they have less of the probability. At `0.0` all 50 keys are left,
# and the map says nothing.

# %%
SHARE = 0.25
threshold = bx.parse(f"softmax_aware(beta={SHARE})", "act")
chosen = np.asarray(threshold(jnp.asarray(before["float"])))
covered = np.sum(chosen * before["float"], axis=-1).mean()
print(f"{chosen.sum(-1).mean():.1f} keys have {covered:.0%} of the probability")
