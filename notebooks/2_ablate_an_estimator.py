# %% [markdown]
# # Ablate an estimator
#
# Is a new surrogate gradient better than the known ones? Ten lines answer the
# question, with a learning rate for each estimator, three seeds and intervals.

# %%
import os

import jax.numpy as jnp
import matplotlib.pyplot as plt

import bnnjax as bx
from bnnjax import config as config_lib

plt.style.use("tableau-colorblind10")

# %%
# Fewer images, rates and seeds, for the tests.
FAST = bool(os.environ.get("FAST"))

# %% [markdown]
# The new estimator: its surrogate gradient is a triangle. The decorator registers
# it, so that a config can name it, with parameters: `"triangle(width=2.0)"`.


# %%
@bx.estimator
def triangle(x, *, width=1.0):
  """Sign with a triangular surrogate: `dx = dy max(0, 1 - |x| / width)`."""
  return jnp.maximum(0, 1 - jnp.abs(x) / width)


# %% [markdown]
# The network and its data: a small binary network, on images of clothes that are
# embedded in the package. `bx.ablate` sets `act` for us.

# %%
config = config_lib.base()
config.epochs = 1.0 if FAST else 3.0
config.data.update(
  name="fashion_mnist_mini",
  train_split="train[:1000]" if FAST else "train[:4000]",
)
config.model = {"name": "mlp", "hidden": (128, 128)}

# %% [markdown]
# ## The ablation
#
# A fair comparison gives each estimator its own learning rate, and chooses it on
# images that are neither trained nor tested on. Here these are the last tenth of the
# training images. Then each estimator is trained on all training images, with three
# seeds, and tested once.
#
# That makes 18 short runs. They are on record in the folder `runs`: run the cell
# again, and nothing is trained a second time.

# %%
found = bx.ablate(
  config,
  act=["ste", "approx_sign", "triangle"],
  lr=[3e-3] if FAST else [1e-3, 3e-3, 1e-2],
  seeds=2 if FAST else 3,
)
found

# %%
found.plot()

# %% [markdown]
# ## How to read it
#
# - The **spread** (after ±) is that of the seeds. A smaller difference may
#   well be luck.
# - The **difference** is that to the first estimator, with its interval. All
#   intervals of the table hold together with 95 % confidence. Where one contains 0,
#   the difference is *not shown*: these runs do not tell. It is not shown either that
#   the estimators are equal; more seeds or more images might tell them apart.
# - Rows that share a letter in the column **groups** do not differ in this sense.
# - The column **test s.e.** is a doubt that no number of seeds removes: the test
#   images are a sample, too.
#
# The next cell says it in words.

# %%
table = found.table()
for row in table:
  if row.difference is not None:
    low, high = row.difference.low, row.difference.high
    if low > 0:
      verdict = "better"
    elif high < 0:
      verdict = "worse"
    else:
      verdict = "not shown to differ"
    print(f"{row.label:12} {row.difference.effect:+.2f} points: {verdict}")

assert {row.label for row in table} == {"ste", "approx_sign", "triangle"}
assert min(row.mean for row in table) > (20 if FAST else 70)

# %% [markdown]
# ## The rates
#
# If the best rate is the smallest or the largest of those tried, a better one may
# lie beyond: the table would say so. The curves show how much the rate matters; often
# it is more than the estimator.

# %%
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for cell, marker in zip(found.cells, "os^"):
  rates, accuracies = list(cell.tried), list(cell.tried.values())
  ax.plot(rates, accuracies, marker=marker, label=cell.act)
ax.set(
  xscale="log",
  xlabel="learning rate",
  ylabel="accuracy on held-out images, %",
  title="Each estimator chooses its own learning rate",
)
ax.grid(alpha=0.3)
ax.legend()
plt.show()

# %% [markdown]
# ## What does it cost?
#
# All three estimators make the same deployed network, so its cost is the same: a
# surrogate gradient exists only in training.

# %%
costs = {row.costs["ace"] for row in table}
print(f"ACE of one image: {costs}")
assert len(costs) == 1

# %% [markdown]
# ## Change this line
#
# `SEEDS = 3`: make it 6. The three runs of each estimator that are on record are not
# repeated; the intervals get about half as wide. (This takes another minute.)

# %%
SEEDS = 2 if FAST else 3
more = bx.ablate(
  config,
  act=["ste", "approx_sign", "triangle"],
  lr=[3e-3] if FAST else [1e-3, 3e-3, 1e-2],
  seeds=SEEDS,
)
more.plot()
