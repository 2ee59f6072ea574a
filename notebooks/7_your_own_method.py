# %% [markdown]
# # Your own method
#
# A method is an estimator, a scale, and a name for the two. One cell defines it, the
# next one checks it, and an ablation tells which of its parts helps.

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import bnnjax as bx
from bnnjax import config as config_lib

plt.style.use("tableau-colorblind10")

# %%
FAST = bool(os.environ.get("FAST"))  # fewer images and seeds, for the tests

# %% [markdown]
# ## The method, in one cell
#
# - The **estimator** is the sign, with a raised cosine as its surrogate gradient. The
#   function that we write is that gradient, $g(x)$.
# - The **scale** is the root mean square of the weights of each output channel, where
#   `channel_l1` takes the mean of $|w|$. A kernel is `[..., inputs, outputs]`.
# - The **method** names both, for weights and for activations.


# %%
@bx.estimator
def cosine(x, *, width=1.0):
  """Sign with a raised cosine: `dx = dy (1 + cos(pi x / width)) / width`."""
  inside = jnp.abs(x) < width
  return jnp.where(inside, (1 + jnp.cos(jnp.pi * x / width)) / width, 0)


@bx.scale
def channel_rms(w):
  """Root mean square of the weights of each output channel."""
  return jnp.sqrt(jnp.mean(w**2, axis=range(w.ndim - 1), keepdims=True))


mine = bx.method(
  "cosine_rms",
  paper="This notebook",
  arxiv="",
  weight="cosine|channel_rms",
  act="cosine",
)

# %% [markdown]
# By hand: at 0 the gradient is $(1 + 1) / 1 = 2$, at half the width $1$, and 0 outside.
# Its area is 2, like the step of the sign.

# %%
x = jnp.array([-2.0, -0.5, 0.0, 0.5])
gradients = jax.grad(lambda x: cosine(x).sum())(x)
print("forward  ", cosine(x))
print("gradient ", gradients)
assert jnp.allclose(cosine(x), jnp.array([-1.0, -1.0, 1.0, 1.0]))
assert jnp.allclose(gradients, jnp.array([0.0, 1.0, 2.0, 1.0]), atol=1e-5)

points = jnp.linspace(-2, 2, 401)
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for spec in ("ste", "approx_sign", "cosine"):
  binarizer = bx.parse(spec, "act")
  slope = jax.grad(lambda x, b=binarizer: b(x).sum())(points)
  ax.plot(points, slope, lw=2, label=spec)
ax.set(
  xlabel="latent value $x$",
  ylabel="surrogate gradient",
  title="The new surrogate is a smooth triangle",
)
ax.grid(alpha=0.3)
ax.legend()
plt.show()

# %% [markdown]
# ## Check it
#
# A wrong estimator still trains, only somewhat worse, so mistakes are hard to see.
# `bx.check` looks for them: each line is a property that training relies on.

# %%
bx.check("cosine_rms").raise_if_failed()

# %% [markdown]
# This is what a mistake looks like. `jnp.sign` makes 0 of 0, a third value that no bit
# can hold.


# %%
@bx.estimator(forward=lambda x: jnp.sign(x))
def wrong(x):
  """Sign, 0 at 0."""
  return (jnp.abs(x) <= 1).astype(x.dtype)


failed = bx.check(wrong).failed
print(*failed, sep="\n")
assert {check.name for check in failed} == {"alphabet", "sign of zero"}

# %% [markdown]
# ## Does it train better?
#
# The method changes two operands. The ablation trains all four combinations with the
# plain straight-through estimator, so that we see which part matters. The runs are
# short: about a minute in all.

# %%
config = config_lib.base()
config.epochs = 1.0 if FAST else 3.0
config.optim.lr = 3e-3
config.data.update(
  name="fashion_mnist_mini",
  train_split="train[:1000]" if FAST else "train[:4000]",
)
config.model = {"name": "mlp", "hidden": (128, 128)}

found = bx.ablate(
  config,
  weight=["ste|channel_l1", "cosine_rms"],
  act=["ste", "cosine_rms"],
  seeds=2 if FAST else 3,
)
found

# %%
found.plot()

# %% [markdown]
# Rows are pairs: the binarizer of the weights, then that of the activations. Bars that
# overlap do not tell the rows apart; then nothing is shown, in either direction. All
# rows used one learning rate here; `lr=[1e-3, 3e-3, 1e-2]` lets each choose its own
# (see the notebook on ablations).

# %%
rows = {row.label: row for row in found.table()}
assert len(rows) == 4
assert all(row.mean > (20 if FAST else 70) for row in rows.values())

# %% [markdown]
# To keep the method, `bnnjax new my_method --arxiv=...` writes its file and its test.
#
# ## Change this line
#
# `SPEC = "cosine(width=1.0)"`: make the width a schedule,
# `"cosine(width=linear(start=3.0, end=0.5))"`. The line "schedule" of the check, which
# does not apply to a fixed width, then passes.

# %%
SPEC = "cosine(width=1.0)"
bx.check(SPEC)
