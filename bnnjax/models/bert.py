"""BERT encoders.

BERT, Devlin et al., NAACL 2019, arXiv:1810.04805; the small sizes are those of
Turc et al. 2019, arXiv:1908.08962.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.progress import Mode
from bnnjax.layers.collection_point import CollectionPoint
from bnnjax.layers.dropout import Dropout
from bnnjax.layers.embedding import Embedding
from bnnjax.layers.intermediates import sow
from bnnjax.layers.linear import Linear, Spec
from bnnjax.layers.transformer import Encoder, EncoderBlock
from bnnjax.models.checks import check_tokens

HEAD_FEATURES = 64  # of an attention head, in every published size


class Plan(NamedTuple):
  """Width and number of blocks; the MLP is four times as wide."""

  features: int
  blocks: int


VARIANTS = {
  "tiny": Plan(128, 2),
  "mini": Plan(256, 4),
  "small": Plan(512, 4),
  "medium": Plan(512, 8),
  "base": Plan(768, 12),
  "large": Plan(1024, 24),
}


class WordHead(nnx.Module):
  """BERT's transform of features before it scores words, in float.

  `norm(gelu(dense(x)))`, and a bias for each word.

  Args:
    features: of a token.
    vocab: words.
    norm: the layer normalization.
    dtype: of the computation.
    rngs: random numbers.
  """

  def __init__(
    self,
    features: int,
    vocab: int,
    *,
    norm: nnx.LayerNorm,
    dtype: Any = None,
    rngs: nnx.Rngs,
  ):
    self.dense = Linear(features, features, dtype=dtype, rngs=rngs)
    self.norm = norm
    self.bias = nnx.Param(jnp.zeros((vocab,)))

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[..., features] -> [..., features]`, without the bias."""
    return self.norm(jax.nn.gelu(self.dense(x, mode), approximate=False))


@registry.register("model", "bert")
class BERT(nnx.Module):
  """Embeddings, post-norm encoder blocks, pooler, and an optional head.

  Position and token-type embeddings, norms, biases and head are float. A second
  head, `token_logits`, scores words by their embeddings.

  Args:
    num_classes: outputs; with `None` the output is the pooled features.
    vocab: entries of the word embedding; entry 0 is padding.
    max_len: longest sequence.
    types: token types.
    variant: "tiny", "mini", "small", "medium", "base" or "large".
    features, blocks, heads, hidden: sizes; by default those of the variant,
      with heads of 64 features and an MLP four times as wide.
    weight, act: binarizers of all linear layers of the blocks.
    attention, mlp_weight, mlp_act: see `Encoder`.
    embedding: binarizer of the word embedding.
    pooler_weight, pooler_act: binarizers of the pooler.
    transform: whether `token_logits` applies `WordHead` before it scores words,
      as the published checkpoints of masked language modelling do.
    dropout: rate in training for the embeddings, the attention probabilities,
      the outputs of attention and MLP, and the pooled features before the head;
      0.1 in the paper.
    dtype: of the computation.
    rngs: random numbers.

  Raises:
    ValueError: an unknown variant, or heads that do not divide the features.
  """

  def __init__(
    self,
    num_classes: int | None = None,
    vocab: int = 30522,
    *,
    max_len: int = 512,
    types: int = 2,
    variant: str = "base",
    features: int | None = None,
    blocks: int | None = None,
    heads: int | None = None,
    hidden: int | None = None,
    weight: Spec = "ste|channel_l1",
    act: Spec = "ste",
    attention: str | Mapping[str, Any] | None = None,
    mlp_weight: Spec = None,
    mlp_act: Spec = None,
    embedding: Spec = None,
    pooler_weight: Spec = None,
    pooler_act: Spec = None,
    transform: bool = False,
    dropout: float = 0.0,
    dtype: Any = None,
    rngs: nnx.Rngs,
  ):
    plan = registry.pick("BERT variant", variant, VARIANTS)
    size = features or plan.features
    encoder = Encoder(
      size,
      heads or max(1, size // HEAD_FEATURES),
      hidden or 4 * size,
      weight=weight,
      act=act,
      attention=attention,
      mlp_weight=mlp_weight,
      mlp_act=mlp_act,
      norm="post",
      epsilon=1e-12,
      dropout=dropout,
      probs_dropout=dropout,
      dtype=dtype,
    )

    def table(entries, spec=None):
      return Embedding(entries, size, weight=spec, dtype=dtype, rngs=rngs)

    self.word = table(vocab, embedding)
    self.position, self.type = table(max_len), table(types)
    self.norm = encoder.layer_norm(rngs)
    self.dropout = Dropout(dropout, rngs=rngs)
    self.blocks = nnx.List(
      EncoderBlock(encoder, rngs=rngs) for _ in range(blocks or plan.blocks)
    )
    pooler = {"weight": pooler_weight, "act": pooler_act, "dtype": dtype}
    self.pooler = Linear(size, size, rngs=rngs, **pooler)
    self.head = (
      Linear(size, num_classes, dtype=dtype, rngs=rngs) if num_classes else None
    )
    self.pooled_dropout = Dropout(dropout if num_classes else 0.0, rngs=rngs)
    self.transform = (
      WordHead(
        size, vocab, norm=encoder.layer_norm(rngs), dtype=dtype, rngs=rngs
      )
      if transform
      else None
    )
    self.words = CollectionPoint()
    self.vocab = vocab
    self.max_len = max_len

  def encode(
    self,
    tokens: jax.Array,
    mode: Mode | None = None,
    *,
    types: jax.Array | None = None,
    mask: jax.Array | None = None,
  ) -> jax.Array:
    """Features of every token.

    Args:
      tokens: int `[B, T]`.
      mode: training or evaluation, see `core.progress.Mode`.
      types: int `[B, T]`, zeros by default.
      mask: bool `[B, T]`, False for padding; by default `tokens != 0`.

    Returns:
      `[B, T, features]`.

    Raises:
      ValueError: a sequence longer than `max_len`, a mask of another shape, or
        tokens outside the vocabulary (unchecked under `jit`).
    """
    length = tokens.shape[-1]
    if length > self.max_len:
      raise ValueError(
        f"A sequence of {length} tokens is longer than `max_len` ="
        f" {self.max_len}."
      )
    mask = tokens != 0 if mask is None else mask
    if mask.shape != tokens.shape:
      raise ValueError(
        f"`mask` must have the shape of the tokens, {tokens.shape}: got"
        f" {mask.shape}."
      )
    check_tokens(tokens, self.vocab)
    types = jnp.zeros_like(tokens) if types is None else types
    x = self.word(tokens, mode) + self.type(types, mode)
    x = self.norm(x + self.position(jnp.arange(length), mode))
    x = self.dropout(x, mode)
    sow(self, mode, hidden_states=x)
    for block in self.blocks:
      x = block(x, mode, mask=mask[:, None, None, :])
      sow(self, mode, hidden_states=x)
    return x

  def token_logits(
    self,
    tokens: jax.Array,
    mode: Mode | None = None,
    *,
    mask: jax.Array | None = None,
  ) -> jax.Array:
    """Scores of every word at every position, `[B, T] -> [B, T, vocab]`.

    The head of masked language modelling: float products with the latent rows
    of the word embedding, with the `transform` if the model has it.
    """
    x = self.encode(tokens, mode, mask=mask)
    if self.transform is None:
      return self.word.attend(self.words.observe(x), mode)
    x = self.words.observe(self.transform(x, mode))
    logits = self.word.attend(x, mode)
    return logits + self.transform.bias[...].astype(x.dtype)

  def __call__(
    self,
    tokens: jax.Array,
    mode: Mode | None = None,
    *,
    types: jax.Array | None = None,
    mask: jax.Array | None = None,
  ) -> jax.Array:
    """`[B, T] -> [B, num_classes]`, or `[B, features]` without a head."""
    x = self.encode(tokens, mode, types=types, mask=mask)
    pooled = jnp.tanh(self.pooler(x[:, 0], mode))
    if self.head is None:
      return pooled
    return self.head(self.pooled_dropout(pooled, mode), mode)
