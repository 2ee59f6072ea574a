"""Low-rank float estimates of the residual of binary attention products.

BiPFT, Xing et al., AAAI 2024, arXiv:2312.08937: with `q = q_b + dq` and
`k = k_b + dk`, products of narrow float projections of the layer's input model
the missing terms `dq k_b^T + q_b dk^T + dq dk^T`.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core.arguments import checked
from bnnjax.core.progress import Mode
from bnnjax.layers.linear import Linear


class LowRankEstimator(nnx.Module):
  """Corrections of the scores and values of an attention layer.

  Args:
    features: of the input.
    rank: of the score estimate, 1 in the released pre-training code. The value
      estimate is one number per token.
    dtype: of the computation.
    rngs: random numbers.
  """

  @checked
  def __init__(
    self, features: int, rank: int, *, dtype: Any = None, rngs: nnx.Rngs
  ):
    def linear(after):
      return Linear(features, after, dtype=dtype, rngs=rngs)

    self.query_plus, self.key_plus = linear(rank), linear(rank)
    self.query_minus, self.key_minus = linear(rank), linear(rank)
    self.value_plus = linear(1)

  def scores(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`q- k+^T + q+ k-^T + q+ k+^T`, the same for all heads: `[B, 1, T, T]`."""
    plus, minus = self.query_plus(x, mode), self.query_minus(x, mode)
    k_plus, k_minus = self.key_plus(x, mode), self.key_minus(x, mode)
    product = lambda q, k: jnp.einsum("bqr,bkr->bqk", q, k)  # noqa: E731
    total = product(minus, k_plus) + product(plus, k_minus)
    return (total + product(plus, k_plus))[:, None]

  def values(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """One number per token, added to all features of all heads: `[B, T]`."""
    return self.value_plus(x, mode)[..., 0]
