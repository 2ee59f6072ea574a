# %% [markdown]
# # What a network costs
#
# Bits, multiply-accumulates and bytes of any JAX function, counted exactly and
# without computing it. Then we binarize a network that knows nothing of bnnjax, and
# see what each of its layers saves.

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
from flax import linen, nnx

import bnnjax as bx

plt.style.use("tableau-colorblind10")

# %%
FAST = bool(os.environ.get("FAST"))  # a smaller image, for the tests
SIDE = 32 if FAST else 128

# %% [markdown]
# ## A network written with flax alone
#
# A residual network of the usual kind: a stem, two blocks with a shortcut, a head.


# %%
class Block(nnx.Module):
  def __init__(self, inputs, outputs, rngs):
    self.first = nnx.Conv(inputs, outputs, (3, 3), strides=2, rngs=rngs)
    self.second = nnx.Conv(outputs, outputs, (3, 3), rngs=rngs)
    self.shortcut = nnx.Conv(inputs, outputs, (1, 1), strides=2, rngs=rngs)
    self.norm = nnx.BatchNorm(outputs, rngs=rngs)

  def __call__(self, x):
    y = self.second(nnx.relu(self.first(x)))
    return nnx.relu(self.norm(y) + self.shortcut(x))


class ResNet(nnx.Module):
  def __init__(self, rngs):
    self.stem = nnx.Conv(3, 32, (3, 3), strides=2, rngs=rngs)
    self.block1 = Block(32, 64, rngs)
    self.block2 = Block(64, 128, rngs)
    self.head = nnx.Linear(128, 10, rngs=rngs)

  def __call__(self, x):
    x = self.block2(self.block1(self.stem(x)))
    return self.head(x.mean((1, 2)))


model = ResNet(nnx.Rngs(0))
model.eval()
images = jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), jnp.float32)

# %% [markdown]
# ## Counting
#
# `bx.count` traces the function with shapes, so nothing is allocated or computed. It
# finds every convolution and product, and the bits of both operands.

# %%
report = bx.count(model, images)
report

# %% [markdown]
# Three units to compare networks by:
#
# - **MACs**: multiply-accumulates, for each pair of bit-widths (`w1a1`: both 1 bit).
# - **BOPs**: the multiply-accumulates of two 1-bit operands. A float network has none.
# - **ACE**: the sum of MACs x weight bits x activation bits, where a float counts as
#   16 bits. It adds float and binary layers, so it is the cost axis of our figures.

# %%
print("MACs ", report.macs_by_name)
print("BOPs ", report.bops)
print("ACE  ", f"{report.ace:,}")
print("bytes", f"{report.weight_bytes('deployed'):,}")
assert report.ace == report.total_macs * 16 * 16

# %% [markdown]
# The stem by hand: one product for each output pixel, output channel and weight of
# the 3 x 3 x 3 window.

# %%
by_hand = (SIDE // 2) ** 2 * 32 * 3 * 3 * 3
stem = sum(row.macs for row in report.rows if "stem" in row.path)
print(f"{stem:,} MACs in the stem")
assert stem == by_hand

# %% [markdown]
# ## Binarize it
#
# A rule says what to do with the layers whose dotted path matches: `reactnet` is the
# name of a method. The first and the last layer stay float, as usual. The model is
# converted in place and keeps its weights, as *latent* weights. (The last note is about
# zero padding: the zeros at the border are no 1-bit values.)

# %%
rules = {
  r".*shortcut": None,  # 1x1 convolutions are cheap: they stay float
  r".*": "reactnet",
}
model, conversion = bx.binarize(model, rules, images)
conversion

# %% [markdown]
# The same figures before and after, by layer.

# %%
before, after = conversion.before, conversion.after


def ace_by_layer(report):
  layers = {}
  for row in report.rows:
    layers[row.path] = layers.get(row.path, 0) + row.ace
  return layers


left, right = ace_by_layer(before), ace_by_layer(after)
places = range(len(left))
figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
ax.barh([p - 0.2 for p in places], left.values(), 0.4, label="float")
ax.barh(
  [p + 0.2 for p in places], [right[k] for k in left], 0.4, label="binarized"
)
ax.set(
  xscale="log",
  xlabel="ACE of one image",
  title="A 1-bit layer costs 1/256 of a float one",
)
ax.set_yticks(places, left)
ax.invert_yaxis()
ax.grid(axis="x", alpha=0.3)
ax.legend()
plt.show()
assert right["block2.second"] * 256 == left["block2.second"]

# %% [markdown]
# What is left? The layers that stayed float: they were a small part of the network
# and are nearly all of its cost now.

# %%
shares = {
  "float network": (before.macs.get((1, 1), 0), before),
  "binarized": (after.macs.get((1, 1), 0), after),
}
for name, (binary, counted) in shares.items():
  share = 100 * binary / counted.total_macs
  print(f"{name:14} {share:3.0f} % of MACs are 1-bit, ACE {counted.ace:,}")

rest = 100 * (after.ace - after.bops) / after.ace
print(f"float layers: {rest:.0f} % of the ACE that is left")

figure, axes = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
axes[0].bar(["float", "binarized"], [before.ace, after.ace], color=["C0", "C1"])
axes[0].set(
  ylabel="ACE of one image",
  title=f"ACE falls to 1/{before.ace / after.ace:.1f}",
)
sizes = [report.weight_bytes("deployed") / 1024 for report in (before, after)]
axes[1].bar(["float", "binarized"], sizes, color=["C0", "C1"])
axes[1].set(
  ylabel="KiB of weights", title=f"memory falls to 1/{sizes[0] / sizes[1]:.1f}"
)
plt.show()
assert after.ace < before.ace / 2
assert rest > 50

# %% [markdown]
# The converted network runs, and trains like any other. `bx.unbinarize` undoes the
# conversion: to the bit, as long as the network was not trained.

# %%
x = jax.random.normal(jax.random.key(0), (2, SIDE, SIDE, 3))
print("logits", model(x).shape)
bx.unbinarize(model)
untouched = ResNet(nnx.Rngs(0))
untouched.eval()
assert (model(x) == untouched(x)).all()

# %% [markdown]
# ## Linen, and plain functions
#
# A network of Flax Linen is a function of its parameters. `bx.binarize_fn` returns a
# new function and new parameters; rules match the paths of parameters.


# %%
class MLP(linen.Module):
  @linen.compact
  def __call__(self, x):
    for width in (256, 256, 256):
      x = linen.relu(linen.Dense(width)(x))
    return linen.Dense(10)(x)


inputs = jax.random.normal(jax.random.key(1), (4, 64))
variables = MLP().init(jax.random.key(2), inputs)
function, parameters = bx.binarize_fn(
  MLP().apply, variables, {r".*kernel": "reactnet"}, inputs
)
print("outputs", jax.jit(function)(parameters, inputs).shape)

one = jax.ShapeDtypeStruct((1, 64), jnp.float32)
linen_before = bx.count(MLP().apply, variables, one)
linen_after = bx.count(function, parameters, one)
print("before", linen_before.macs_by_name)
print("after ", linen_after.macs_by_name)
assert linen_after.macs[1, 1] == 2 * 256 * 256

# %% [markdown]
# ## Change this line
#
# `RULE = "reactnet"` has 1-bit weights and activations. Make it
# `{"weight": "ste|channel_l1"}`: weights of 1 bit, float activations. The memory is
# nearly the same, but the ACE falls much less.

# %%
RULE = "reactnet"
_, changed = bx.binarize(ResNet(nnx.Rngs(0)), {".*": RULE}, images)
print(changed.after.macs_by_name)
print(f"ACE {changed.before.ace:,} -> {changed.after.ace:,}")
print(f"bytes {changed.after.weight_bytes('deployed'):,}")
