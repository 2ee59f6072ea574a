"""Vectors of EcoFormer's hashing and attention, in our order of axes."""

import jax
import jax.numpy as jnp

from tests import golden_cases

FILE = "ecoformer_hash.npz"
KEYS = jax.random.split(jax.random.key(0), 4)
TOKENS = jax.random.normal(KEYS[0], (2, 9, 3, 4))


def ours(x):
  """Sequences `[B, H, T, D]` as `[B, T, H, D]`, and back."""
  return jnp.swapaxes(jnp.asarray(x), 1, 2)


def cases(stem):
  return golden_cases.parametrize(FILE, stem, ".")
