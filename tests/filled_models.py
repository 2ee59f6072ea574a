"""Networks with numbers for parameters, without compiling what draws them."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from bnnjax import models


def filled(build: Callable[[nnx.Rngs], nnx.Module], size=0.2) -> nnx.Module:
  """A module whose float variables are normal numbers of that deviation."""
  rng = np.random.default_rng(0)

  def fill(x):
    if not jnp.issubdtype(x.dtype, jnp.floating):
      return jnp.zeros(x.shape, x.dtype)
    return jnp.asarray(size * rng.normal(size=x.shape), x.dtype)

  graph, state = nnx.split(models.abstract(build))
  return nnx.merge(graph, jax.tree.map(fill, state))
