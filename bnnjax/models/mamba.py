"""Mamba language models, for 1-bit state space models.

Transformers are SSMs, Dao and Gu 2024, arXiv:2405.21060. The published sizes
are those of Bi-Mamba, Tang et al. 2024, arXiv:2411.11843, which binarizes the
two projections of every block with the binarizer of FBI-LLM, the default here.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.progress import Mode
from bnnjax.layers.collection_point import CollectionPoint
from bnnjax.layers.intermediates import sow
from bnnjax.layers.linear import Spec
from bnnjax.layers.mamba1 import Mamba1
from bnnjax.layers.mamba2 import Mamba2
from bnnjax.layers.ssm import SSMCache
from bnnjax.layers.stack import Stack
from bnnjax.layers.variables import weight_variable
from bnnjax.models.checks import check_tokens

INIT = nnx.initializers.normal(0.02)
EPSILON = 1e-5


class Plan(NamedTuple):
  """Width and number of blocks."""

  features: int
  blocks: int


VARIANTS = {
  "tiny": Plan(128, 2),
  "small": Plan(256, 4),
  "780M": Plan(1536, 48),
  "1.3B": Plan(2048, 48),
  "2.7B": Plan(2560, 64),
}
KINDS = {"mamba2": Mamba2, "mamba1": Mamba1}


class MambaBlock(nnx.Module):
  """`x + mixer(norm(x))`, the sum in float32.

  Args:
    features: of the residual stream.
    mixer: class of the mixer.
    dtype: of the computation of the mixer.
    rngs: random numbers.
    **options: other arguments of the mixer.
  """

  def __init__(
    self,
    features: int,
    mixer: type[nnx.Module],
    *,
    dtype: Any = None,
    rngs: nnx.Rngs,
    **options: Any,
  ):
    self.norm = nnx.RMSNorm(features, epsilon=EPSILON, dtype=dtype, rngs=rngs)
    self.mixer = mixer(features, dtype=dtype, rngs=rngs, **options)

  def __call__(
    self,
    x: jax.Array,
    mode: Mode | None = None,
    *,
    cache: SSMCache | None = None,
  ) -> Any:
    """`[B, T, features] -> [B, T, features]`; for the cache see the mixer."""
    y = self.mixer(self.norm(x), mode, cache=cache)
    if cache is None:
      return x + y.astype(x.dtype)
    y, cache = y
    return x + y.astype(x.dtype), cache


@registry.register("model", "mamba")
class Mamba(nnx.Module):
  """Word embedding, a stack of blocks, a norm; the embedding scores words.

  Embedding, norms, convolutions and states are float, the residual stream is
  float32. The cost of a token does not grow with the number of earlier tokens.

  Args:
    vocab: entries of the vocabulary.
    variant: "tiny", "small", "780M", "1.3B" or "2.7B".
    features, blocks: sizes; by default those of the variant.
    kind: "mamba2" or "mamba1".
    state: size of a state; by default 128, or 16 per channel for "mamba1".
    head_size, groups: of "mamba2" only, see `layers.mamba2.Mamba2`.
    expand, conv, chunk: see `layers.mamba2.Mamba2`.
    weight, act: binarizers of the projections of the blocks.
    dtype: of the computation.
    remat: what the backward pass recomputes, see `layers.stack.Stack`.
    rngs: random numbers.

  Raises:
    ValueError: an unknown variant, kind or policy, or heads or groups that do
      not divide.
  """

  def __init__(
    self,
    vocab: int = 32_000,
    *,
    variant: str = "780M",
    features: int | None = None,
    blocks: int | None = None,
    kind: str = "mamba2",
    state: int | None = None,
    head_size: int = 64,
    groups: int = 1,
    expand: int = 2,
    conv: int = 4,
    chunk: int = 64,
    weight: Spec = "fbi_llm",
    act: Spec = None,
    dtype: Any = None,
    remat: str = "none",
    rngs: nnx.Rngs,
  ):
    plan = registry.pick("Mamba variant", variant, VARIANTS)
    features = plan.features if features is None else features
    blocks = plan.blocks if blocks is None else blocks
    mixer = registry.pick("Mamba kind", kind, KINDS)
    options = {"expand": expand, "conv": conv, "chunk": chunk}
    options |= {"weight": weight, "act": act, "dtype": dtype}
    if state is not None:
      options["state"] = state
    if mixer is Mamba2:
      options |= {"head_size": head_size, "groups": groups}
    table = INIT(rngs.params(), (vocab, features))
    self.embedding = weight_variable(table, None, "row")
    self.blocks = Stack(
      lambda rngs: MambaBlock(features, mixer, rngs=rngs, **options),
      blocks,
      remat=remat,
      rngs=rngs,
    )
    self.norm = nnx.RMSNorm(features, epsilon=EPSILON, dtype=dtype, rngs=rngs)
    self.words = CollectionPoint()
    self.vocab = vocab

  def __call__(
    self,
    tokens: jax.Array,
    mode: Mode | None = None,
    *,
    caches: SSMCache | None = None,
    last: bool = False,
  ) -> Any:
    """Scores of the next token at every position.

    Args:
      tokens: int `[B, T]`, of any length.
      mode: training or evaluation, see `core.progress.Mode`.
      caches: of earlier tokens, see `empty_caches`.
      last: score only the token after the last one.

    Returns:
      `[B, T, vocab]` (`[B, 1, vocab]`), float32; with caches, that and the new
      caches.

    Raises:
      ValueError: no token, tokens outside the vocabulary (unchecked under
        `jit`), or caches of another shape.
    """
    check_tokens(tokens, self.vocab)
    x = self.embedding[...][tokens]
    sow(self, mode, hidden_states=x)
    x = self.blocks(x, mode, caches=caches)
    x, caches = x if caches is not None else (x, None)
    x = self.words.observe(self.norm(x[:, -1:] if last else x))
    words = self.embedding[...].astype(x.dtype)
    with jax.named_scope("head"):
      logits = jnp.einsum(
        "btd,vd->btv", x, words, preferred_element_type=jnp.float32
      )
    return logits if caches is None else (logits, caches)

  def empty_caches(self, batch: int, tokens: int | None = None) -> SSMCache:
    """Empty caches of all blocks, `[blocks, ...]`, for any number of tokens."""
    del tokens
    one = self.blocks.layer.mixer.cache(batch)
    return jax.tree.map(lambda x: jnp.stack([x] * self.blocks.layers), one)
