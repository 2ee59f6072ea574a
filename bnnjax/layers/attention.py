"""Multi-head attention whose projections and products may be low-bit."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core.progress import DEPLOYED, Mode
from bnnjax.core.quantized import Quantized
from bnnjax.layers.binarize import Binarize
from bnnjax.layers.linear import Linear, Spec


class Attention(nnx.Module):
  """`softmax(q k^T / sqrt(d)) v` in heads, with four projections.

  Args:
    features: of input and output.
    heads: divides `features`.
    weight, act: binarizers of the projections.
    query, key, value, probs: binarizers of the operands of the two products
      between activations; `None` keeps them float.
    dtype: of the computation.
    rngs: random numbers.

  Raises:
    ValueError: `heads` does not divide `features`.
  """

  def __init__(
    self,
    features: int,
    heads: int,
    *,
    weight: Spec = None,
    act: Spec = None,
    query: Spec = None,
    key: Spec = None,
    value: Spec = None,
    probs: Spec = None,
    dtype: Any = None,
    rngs: nnx.Rngs,
  ):
    if heads < 1 or features % heads:
      raise ValueError(
        f"`heads` must divide the features: got {features} features in"
        f" {heads} heads."
      )

    def linear():
      return Linear(
        features, features, weight=weight, act=act, dtype=dtype, rngs=rngs
      )

    self.query, self.key, self.value, self.out = (linear() for _ in range(4))
    like = jax.ShapeDtypeStruct((1, 1, 1, features // heads), jnp.float32)
    self.low_query = Binarize(query, "act", like)
    self.low_key = Binarize(key, "act", like)
    self.low_value = Binarize(value, "act", like)
    row = jax.ShapeDtypeStruct((1, 1, 1, 1), jnp.float32)
    self.low_probs = Binarize(probs, "act", row)
    self.heads = heads

  def __call__(
    self,
    x: jax.Array,
    mode: Mode = DEPLOYED,
    *,
    mask: jax.Array | None = None,
  ) -> jax.Array:
    """Attends within every sequence.

    Args:
      x: `[B, T, features]`.
      mode: on whose behalf.
      mask: bool, broadcasts against `[B, heads, T, T]`: which keys a query may
        see. A query that may see none attends to all alike.

    Returns:
      `[B, T, features]`.
    """
    q = _low_bit(self.low_query, self._split(self.query(x, mode)), mode)
    k = _low_bit(self.low_key, self._split(self.key(x, mode)), mode)
    v = _low_bit(self.low_value, self._split(self.value(x, mode)), mode)
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / q.shape[-1] ** 0.5
    if mask is not None:
      scores = jnp.where(mask, scores, jnp.finfo(scores.dtype).min)
    probs = _low_bit(self.low_probs, jax.nn.softmax(scores, axis=-1), mode)
    y = jnp.einsum("bhqk,bkhd->bqhd", probs, v)
    return self.out(y.reshape(x.shape), mode)

  def _split(self, x):
    """`[B, T, features] -> [B, T, heads, features / heads]`."""
    return x.reshape(*x.shape[:-1], self.heads, -1)


def _low_bit(binarize: Binarize, x: jax.Array, mode: Mode) -> jax.Array:
  """The quantized tensor as an array, with its surrogate gradient."""
  y = binarize(x, mode)
  return y.dequantize() if isinstance(y, Quantized) else y
