"""The encoder block of transformers, with norms before or after branches."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.progress import Mode
from bnnjax.layers import attention as attention_lib
from bnnjax.layers.dropout import Dropout
from bnnjax.layers.linear import Linear, Spec

NORMS = ("pre", "post")


@dataclasses.dataclass(frozen=True)
class Encoder:
  """Options that the blocks of an encoder share.

  Attributes:
    features, heads, hidden: width, attention heads, features of the MLP.
    weight, act: binarizers of all linear layers.
    attention: further arguments of `Attention`: a mapping, or a method's name.
    mlp_weight, mlp_act: binarizers of the MLP; by default `weight`, `act`,
      `"float"` for none.
    norm: `"pre"` (ViT) or `"post"` (BERT).
    epsilon: of layer normalization.
    dropout: of the output of attention and MLP, before the shortcut is added.
    probs_dropout: of the attention probabilities, if the mixer has any.
    dtype: of the computation.
  """

  features: int
  heads: int
  hidden: int
  weight: Spec = None
  act: Spec = None
  attention: str | Mapping[str, Any] | None = None
  mlp_weight: Spec = None
  mlp_act: Spec = None
  norm: str = "pre"
  epsilon: float = 1e-6
  dropout: float = 0.0
  probs_dropout: float = 0.0
  dtype: Any = None

  def layer_norm(self, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """A layer normalization of the features."""
    return nnx.LayerNorm(
      self.features, epsilon=self.epsilon, dtype=self.dtype, rngs=rngs
    )

  def linear(
    self, before: int, after: int, rngs: nnx.Rngs, parallel: str = "column"
  ) -> Linear:
    """A linear layer of the MLP."""
    return Linear(
      before,
      after,
      weight=self.weight if self.mlp_weight is None else self.mlp_weight,
      act=self.act if self.mlp_act is None else self.mlp_act,
      dtype=self.dtype,
      parallel=parallel,
      rngs=rngs,
    )


class EncoderBlock(nnx.Module):
  """Attention and MLP (exact GELU), each with a shortcut and a norm.

  Pre-norm: `x + branch(norm(x))`; post-norm: `norm(x + branch(x))`.

  Args:
    encoder: sizes and binarizers.
    rngs: random numbers.

  Raises:
    ValueError: unknown norm position, or heads that do not divide the features.
  """

  def __init__(self, encoder: Encoder, *, rngs: nnx.Rngs):
    e = encoder
    if e.norm not in NORMS:
      raise registry.unknown("norm position", e.norm, NORMS)
    given = {"weight": e.weight, "act": e.act, "dtype": e.dtype}
    given |= attention_lib.options(e.attention, e.probs_dropout)
    self.attention = attention_lib.Attention(
      e.features, e.heads, **given, rngs=rngs
    )
    self.attention_norm = e.layer_norm(rngs)
    self.expand = e.linear(e.features, e.hidden, rngs)
    self.reduce = e.linear(e.hidden, e.features, rngs, "row")
    self.mlp_norm = e.layer_norm(rngs)
    self.attention_dropout = Dropout(e.dropout, rngs=rngs)
    self.mlp_dropout = Dropout(e.dropout, rngs=rngs)
    self.norm = e.norm

  def __call__(
    self,
    x: jax.Array,
    mode: Mode | None = None,
    *,
    mask: jax.Array | None = None,
  ) -> jax.Array:
    """`[B, T, features] -> [B, T, features]`; `mask` as in `Attention`."""
    if self.norm == "pre":
      y = self.attention(self.attention_norm(x), mode, mask=mask)
      x = x + self.attention_dropout(y, mode)
      return x + self.mlp_dropout(self.mlp(self.mlp_norm(x), mode), mode)
    y = self.attention(x, mode, mask=mask)
    x = self.attention_norm(x + self.attention_dropout(y, mode))
    return self.mlp_norm(x + self.mlp_dropout(self.mlp(x, mode), mode))

  def mlp(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`reduce(gelu(expand(x)))`, without norm and shortcut."""
    y = jax.nn.gelu(self.expand(x, mode), approximate=False)
    return self.reduce(y, mode)
