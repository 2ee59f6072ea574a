"""LLaMA-style decoders, for 1-bit language models.

LLaMA, Touvron et al. 2023, arXiv:2302.13971: RMS norms before each branch,
rotary positions, a gated MLP (SwiGLU), no biases; grouped keys and values from
LLaMA 2, arXiv:2307.09288. The sizes are those of FBI-LLM, arXiv:2407.07093.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.progress import Mode
from bnnjax.layers import attention as attention_lib
from bnnjax.layers.attention import Attention
from bnnjax.layers.checks import check_sizes
from bnnjax.layers.dropout import Dropout
from bnnjax.layers.intermediates import sow
from bnnjax.layers.kv_cache import KVCache
from bnnjax.layers.linear import Linear, Spec
from bnnjax.layers.variables import weight_variable
from bnnjax.models.checks import check_tokens

INIT = nnx.initializers.normal(0.02)
ROTARY = 10_000.0
EPSILON = 1e-5


class Plan(NamedTuple):
  """Width, number of blocks and heads, width of the MLP."""

  features: int
  blocks: int
  heads: int
  hidden: int


VARIANTS = {
  "tiny": Plan(128, 2, 4, 344),
  "130M": Plan(768, 12, 12, 2048),
  "1.3B": Plan(2048, 24, 32, 5632),
  "7B": Plan(4096, 32, 32, 11008),
}


class DecoderBlock(nnx.Module):
  """`x + attention(norm(x))`, then `x + down(silu(gate) up)` of `norm(x)`.

  Args:
    plan: sizes.
    kv_heads: heads of keys and values.
    attention: other arguments of `Attention`, as a mapping or a method's name.
    dropout: rate for attention probabilities and the output of both branches.
    rngs: random numbers.
    **low: `weight`, `act` and `dtype` of all linear layers.
  """

  def __init__(
    self,
    plan: Plan,
    kv_heads: int,
    attention: str | Mapping[str, Any] | None,
    *,
    dropout: float = 0.0,
    rngs: nnx.Rngs,
    **low: Any,
  ):
    def norm():
      return nnx.RMSNorm(
        plan.features, epsilon=EPSILON, dtype=low["dtype"], rngs=rngs
      )

    def linear(before, after, parallel="column"):
      return Linear(
        before, after, use_bias=False, parallel=parallel, rngs=rngs, **low
      )

    given = {"causal": True, "rotary": ROTARY, "use_bias": False, **low}
    given |= attention_lib.options(attention, dropout)
    self.attention_norm, self.mlp_norm = norm(), norm()
    self.attention = Attention(
      plan.features, plan.heads, kv_heads=kv_heads, rngs=rngs, **given
    )
    self.gate = linear(plan.features, plan.hidden)
    self.up = linear(plan.features, plan.hidden)
    self.down = linear(plan.hidden, plan.features, "row")
    self.attention_dropout = Dropout(dropout, rngs=rngs)
    self.mlp_dropout = Dropout(dropout, rngs=rngs)

  def __call__(
    self,
    x: jax.Array,
    mode: Mode | None = None,
    *,
    mask: jax.Array | None = None,
    cache: KVCache | None = None,
  ) -> Any:
    """`[B, T, features] -> [B, T, features]`; for the cache see `Attention`."""
    y = self.attention(self.attention_norm(x), mode, mask=mask, cache=cache)
    y, cache = y if cache is not None else (y, None)
    x = x + self.attention_dropout(y, mode)
    z = self.mlp_norm(x)
    y = self.down(jax.nn.silu(self.gate(z, mode)) * self.up(z, mode), mode)
    x = x + self.mlp_dropout(y, mode)
    return x if cache is None else (x, cache)


@registry.register("model", "decoder")
class Decoder(nnx.Module):
  """Word embedding, decoder blocks, a norm, a head over the vocabulary.

  Embedding, norms and head are float.

  Args:
    vocab: entries of the vocabulary.
    max_len: longest sequence.
    variant: "tiny", "130M", "1.3B" or "7B".
    features, blocks, heads, hidden: sizes; by default those of the variant.
    kv_heads: heads of keys and values, by default `heads`.
    weight, act: binarizers of all linear layers of the blocks.
    attention: binarizers inside attention, see `Attention`.
    dropout: rate in training for the embeddings, the attention probabilities
      and the outputs of attention and MLP, as in GPT-2; LLaMA has none.
    dtype: of the computation.
    rngs: random numbers.

  Raises:
    ValueError: an unknown variant, or heads that do not divide the features.
  """

  def __init__(
    self,
    vocab: int = 32_000,
    *,
    max_len: int = 2048,
    variant: str = "130M",
    features: int | None = None,
    blocks: int | None = None,
    heads: int | None = None,
    hidden: int | None = None,
    kv_heads: int | None = None,
    weight: Spec = "fbi_llm",
    act: Spec = None,
    attention: str | Mapping[str, Any] | None = None,
    dropout: float = 0.0,
    dtype: Any = None,
    rngs: nnx.Rngs,
  ):
    given = (features, blocks, heads, hidden)
    plan = registry.pick("decoder variant", variant, VARIANTS)
    plan = Plan(*(p if g is None else g for g, p in zip(given, plan)))
    check_sizes(**plan._asdict())
    table = INIT(rngs.params(), (vocab, plan.features))
    self.embedding = weight_variable(table, None, "row")
    self.dropout = Dropout(dropout, rngs=rngs)
    self.blocks = nnx.List(
      DecoderBlock(
        plan,
        kv_heads or plan.heads,
        attention,
        weight=weight,
        act=act,
        dropout=dropout,
        dtype=dtype,
        rngs=rngs,
      )
      for _ in range(plan.blocks)
    )
    self.norm = nnx.RMSNorm(
      plan.features, epsilon=EPSILON, dtype=dtype, rngs=rngs
    )
    self.head = Linear(
      plan.features, vocab, use_bias=False, dtype=dtype, rngs=rngs
    )
    self.vocab, self.max_len, self.dtype = vocab, max_len, dtype

  def __call__(
    self,
    tokens: jax.Array,
    mode: Mode | None = None,
    *,
    mask: jax.Array | None = None,
    caches: Sequence[KVCache] | None = None,
    last: bool = False,
  ) -> Any:
    """Scores of the next token at every position.

    Args:
      tokens: int `[B, T]`.
      mode: training or evaluation, see `core.progress.Mode`.
      mask: bool `[B, keys]`, False for padding.
      caches: of earlier tokens, one per block; see `empty_caches`.
      last: score only the token after the last one.

    Returns:
      `[B, T, vocab]` (`[B, 1, vocab]`); with caches, that and the new caches.

    Raises:
      ValueError: a sequence longer than `max_len`, or tokens outside the
        vocabulary (unchecked under `jit`).
    """
    check_tokens(tokens, self.vocab)
    if tokens.shape[-1] > self.max_len:
      raise ValueError(
        f"A sequence of {tokens.shape[-1]} tokens is longer than `max_len` ="
        f" {self.max_len}."
      )
    x = self.embedding[...][tokens].astype(self.dtype or jnp.float32)
    x = self.dropout(x, mode)
    mask = None if mask is None else mask[:, None, None, :]
    sow(self, mode, hidden_states=x)
    new = []
    for block, cache in zip(self.blocks, caches or [None] * len(self.blocks)):
      x = block(x, mode, mask=mask, cache=cache)
      if cache is not None:
        x, cache = x
        new.append(cache)
      sow(self, mode, hidden_states=x)
    logits = self.head(self.norm(x[:, -1:] if last else x), mode)
    return logits if caches is None else (logits, new)

  def empty_caches(
    self, batch: int, tokens: int | None = None
  ) -> list[KVCache]:
    """Empty caches for `tokens` tokens, by default `max_len`."""
    room = self.max_len if tokens is None else tokens
    return [block.attention.cache(batch, room) for block in self.blocks]
