# %% [markdown]
# # Anatomy of a binarizer
#
# A binarizer turns numbers into signs, and pretends in the backward pass that it
# did not. This notebook draws its parts: forward pass, surrogate gradient,
# annealing, and scale.

# %%
import os

import jax.numpy as jnp

import bnnjax as bx

# %%
FAST = bool(os.environ.get("FAST"))  # fewer points, for the tests
x = jnp.linspace(-2, 2, 5 if FAST else 401)

# %% [markdown]
# ## Change this line
#
# `"ste"` to `"approx_sign"`: the signs stay the same.

# %%
bx.parse("ste", "act")
