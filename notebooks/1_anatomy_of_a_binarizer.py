# %% [markdown]
# # Anatomy of a binarizer
#
# A binarizer turns numbers into signs, and in the backward pass pretends that it
# did something smoother. This notebook draws its parts: forward pass, surrogate
# gradient, schedule and scale.

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import optax
from flax import nnx

import bnnjax as bx

plt.style.use("tableau-colorblind10")

# %%
FAST = bool(os.environ.get("FAST"))  # fewer training steps, for the tests
STEPS = 30 if FAST else 400

# %% [markdown]
# ## Forward pass and surrogate gradient
#
# The sign is flat: its derivative is 0, and a network of signs would learn nothing.

# %%
x = jnp.linspace(-2, 2, 401)
true_gradient = jax.vmap(jax.grad(jnp.sign))(x)
assert (true_gradient == 0).all()

# %% [markdown]
# An *estimator* computes the sign in the forward pass, and in the backward pass uses
# the derivative of another function, the *surrogate gradient*. `bx.parse` makes the
# binarizer of a spec, and `jax.vjp` shows both passes.


# %%
def passes(spec, mode=None):
  """Forward values and gradients at `x`."""
  binarizer = bx.parse(spec, "act")
  values, backward = jax.vjp(lambda x: binarizer(x, mode or bx.Mode()), x)
  (gradient,) = backward(jnp.ones_like(x))
  return values, gradient


specs = [
  "ste",
  "approx_sign",
  "swish_sign",
  "ede(t=2.0)",
  "reste",
  "ste(clip=None)",
]
figure, axes = plt.subplots(
  2, 3, figsize=(9, 4.5), sharex=True, sharey=True, layout="constrained"
)
for ax, spec in zip(axes.flat, specs):
  values, gradient = passes(spec)
  ax.fill_between(x, gradient, alpha=0.3, color="C1", lw=0)
  ax.plot(x, gradient, color="C1", lw=2, label="surrogate gradient")
  ax.plot(x, values, color="black", lw=1, label="forward value")
  ax.set_title(spec, family="monospace")
  ax.grid(alpha=0.3)
axes[0, 0].legend(loc="upper left", fontsize=8)
figure.supxlabel("latent value $x$")
figure.suptitle("Six estimators: one forward pass, six backward passes")
plt.show()

# %% [markdown]
# The forward pass is the same six times, and 0 becomes +1. Most of the curves have
# the area 2: a surrogate is the derivative of a smooth step, and the step from -1 to
# +1 has the height 2. `reste` climbs a little higher, and the unclipped identity
# (`clip=None`) has no end at all.

# %%
spacing = x[1] - x[0]
for spec in specs:
  values, gradient = passes(spec)
  assert (values == jnp.where(x >= 0, 1, -1)).all()
  print(f"{spec:15} area {float(gradient.sum() * spacing):.2f}")

area = passes("approx_sign")[1].sum() * spacing
assert jnp.isclose(area, 2, atol=0.01)

# %% [markdown]
# ## A schedule
#
# IR-Net's estimator is wide at first, so that every value gets a gradient, and steep
# at the end, so that the gradient is close to that of the sign. A schedule takes the
# place of a number in a spec. It follows the *progress* of the run.

# %%
STEPWISE = "ede(t=geometric(start=0.1, end=10.0))"
colors = plt.get_cmap("viridis")(jnp.linspace(0, 0.9, 5))
peaks = []
figure, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
for percent, color in zip((0, 25, 50, 75, 100), colors):
  progress = bx.Progress.at(percent, steps=100, epochs=1.0)
  _, gradient = passes(STEPWISE, bx.Mode.training(progress))
  ax.plot(x, gradient, color=color, lw=2, label=f"{percent} % of the run")
  peaks.append(float(gradient.max()))
ax.set(
  xlabel="latent value $x$",
  ylabel="surrogate gradient",
  title="IR-Net's surrogate narrows during training",
)
ax.grid(alpha=0.3)
ax.legend()
plt.show()
assert peaks[0] < 1.01
assert peaks[-1] > 9.9

# %% [markdown]
# ## Latent weights and their scale
#
# The optimizer cannot move a sign a little. It moves the float weight behind the
# sign, the *latent* weight. A *scale* then brings the signs to the size of the
# weights: `channel_l1` is the mean of $|w|$ over each output channel.
#
# We train one layer to imitate another one with random signs, and look at its weights
# before and after.

# %%
layer = bx.Linear(
  64, 32, weight="ste|channel_l1", use_bias=False, rngs=nnx.Rngs(0)
)
inputs = jax.random.normal(jax.random.key(1), (512, 64))
teacher = jax.random.rademacher(jax.random.key(2), (64, 32)) * 0.1
targets = inputs @ teacher
optimizer = nnx.Optimizer(layer, optax.adam(5e-3), wrt=nnx.Param)


@nnx.jit
def step(layer, optimizer):
  def loss(layer):
    return jnp.mean((layer(inputs) - targets) ** 2)

  value, gradients = nnx.value_and_grad(loss)(layer)
  optimizer.update(layer, gradients)
  return value


def weights():
  """Latent weights, and what the layer multiplies with."""
  return layer.kernel[...], bx.deployed_weight(layer).dequantize()


layer.train()
before = weights()
losses = [float(step(layer, optimizer)) for _ in range(STEPS)]
layer.eval()
after = weights()
print(f"mean squared error {losses[0]:.3f} -> {losses[-1]:.3f}")
found = jnp.mean(bx.sign(after[0]) == bx.sign(teacher))
print(f"{100 * found:.1f} % of the teacher's signs found")
assert losses[-1] < losses[0] / 2
assert found > 0.8

# %%
figure, axes = plt.subplots(
  1, 2, figsize=(9, 3.5), sharex=True, sharey=True, layout="constrained"
)
bins = jnp.linspace(-0.6, 0.6, 61)
for ax, (latent, binary), when in zip(
  axes, (before, after), ("before", "after")
):
  ax.hist(latent.ravel(), bins, color="C0", alpha=0.7, label="latent weights")
  ax.hist(binary.ravel(), bins, color="C1", alpha=0.7, label="sign x scale")
  ax.set(xlabel="weight", title=f"{when} training")
  ax.grid(alpha=0.3)
axes[0].set_ylabel("number of weights")
axes[0].legend()
figure.suptitle("2,048 latent weights become two values in each of 32 channels")
plt.show()

latent, binary = after
assert all(len(set(channel.tolist())) == 2 for channel in binary.T)
print(f"mean scale after training: {jnp.abs(binary).mean():.3f}; teacher: 0.1")

# %% [markdown]
# The scale has become 0.1, the size of the teacher's weights.
#
# Why the mean of $|w|$? It is the scale with the smallest squared error
# $\lVert w - s \, \mathrm{sign}(w) \rVert^2$. The figure tries others for one channel.

# %%
channel = latent[:, 0]
scales = jnp.linspace(0, 0.5, 501)
errors = [float(jnp.sum((channel - s * bx.sign(channel)) ** 2)) for s in scales]
best = scales[jnp.argmin(jnp.array(errors))]
chosen = jnp.abs(binary[0, 0])

figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
ax.plot(scales, errors, lw=2)
ax.axvline(chosen, color="C1", ls="--", label=f"channel_l1: {chosen:.3f}")
ax.set(
  xlabel="scale $s$",
  ylabel="squared error",
  title="The mean of |w| is the best scale for the signs of w",
)
ax.grid(alpha=0.3)
ax.legend()
plt.show()
assert jnp.isclose(best, chosen, atol=1e-3)
assert jnp.isclose(jnp.abs(channel).mean(), chosen)

# %% [markdown]
# The layer multiplies with the signs alone and applies the scale afterwards, so that
# the product stays 1-bit. In the backward pass this scale is left out: `channel_l1`
# does not touch the gradient of the latent weights.

# %%
(term,) = bx.deployed_weight(layer).terms
print("values ", sorted(set(term.value.ravel().tolist())))
print("scale  ", term.scale.shape, "one for each output channel")
expected = (inputs @ term.value) * term.scale
assert jnp.allclose(layer(inputs), expected, atol=1e-2)

# %% [markdown]
# ## Change this line
#
# `WINDOW = 1.0` is the half-width of the straight-through estimator's window. Make it
# `0.03`: most weights of the histogram above lie outside. They get no gradient, so
# their signs can no longer be learned.

# %%
WINDOW = 1.0
binarizer = bx.parse(f"ste(clip={WINDOW})", "weight")
slopes = jax.grad(lambda w: binarizer(w).sum())(latent)
print(f"{100 * jnp.mean(slopes == 0):.0f} % of the weights get no gradient")
