# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Ablate an estimator
#
# How does a new surrogate gradient compare with two known ones, and what does it
# cost? Ten lines answer it, in a minute on a laptop or in Colab (any runtime).

# %%
import importlib.util

if importlib.util.find_spec("bnnjax") is None:
  # %pip install -q bnnjax
  pass

# %%
import tempfile

import jax
import jax.numpy as jnp

import bnnjax as bx
from bnnjax import config as config_lib
from bnnjax.train import loop

# %% [markdown]
# The surrogate is the derivative that the backward pass uses in place of the sign's
# own. The decorator registers the estimator, so that configs can name it.


# %%
@bx.estimator()
def triangle(x, *, width=1.0):
  """Sign with a triangular surrogate: `dx = dy max(0, 1 - |x| / width)`."""
  return jnp.maximum(0, 1 - jnp.abs(x) / width)


x = jnp.linspace(-2, 2, 9)
print("forward ", triangle(x))
print("backward", jax.grad(lambda x: triangle(x).sum())(x))

# %% [markdown]
# Train one small network at one budget with three estimators. Each run writes a
# record with its config, seed, versions, accuracy and cost.

# %%
results = {}
for act in ("ste", "ste(clip=None)", "triangle"):
  config = config_lib.base()
  config.epochs = 3.0
  config.data.update(
    name="fashion_mnist_mini",
    shape=(28, 28, 1),
    num_classes=10,
    train_split="train[:4000]",
  )
  config.model = {
    "name": "mlp",
    "hidden": (128, 128),
    "weight": "ste",
    "act": act,
  }
  results[act] = loop.train(config, tempfile.mkdtemp())

# %%
for act, result in results.items():
  print(f"{act:16} {result.metrics['accuracy']:.3f}  ACE {result.report.ace:,}")
assert min(r.metrics["accuracy"] for r in results.values()) > 0.5

# %% [markdown]
# Which layers cost most? `W` and `A` are the bits of weights and activations.

# %%
print(results["triangle"].report.table("markdown"))
