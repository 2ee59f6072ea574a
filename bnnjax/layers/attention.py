"""Multi-head attention whose projections and products may be low-bit."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core import registry, signature
from bnnjax.core.arguments import checked
from bnnjax.core.progress import Mode
from bnnjax.core.quantized import Quantized
from bnnjax.layers import attention_mask, checks
from bnnjax.layers import rotary as rotary_lib
from bnnjax.layers.binarize import Binarize
from bnnjax.layers.dropout import Dropout
from bnnjax.layers.intermediates import sow
from bnnjax.layers.kv_cache import KVCache
from bnnjax.layers.linear import Linear, Spec
from bnnjax.layers.linear_attention import linear_attention
from bnnjax.layers.low_rank import LowRankEstimator

MIXERS = ("softmax", "none", "linear")


class Attention(nnx.Module):
  """Projections, a token mixer, and binarizers of its operands.

  With `q, k, v` binarized, in heads of `D` features, and `S = q k^T / sqrt(D)`:

  * mixer `"softmax"`: `probs(softmax(S)) v` (BiViT, BiPFT, or float);
  * mixer `"none"`: `probs(S) v` (BiBERT's Bi-Attention);
  * mixer `"linear"`: codes in {-1, +1}, weighted by their Hamming similarity in
    linear time, see `linear_attention` (EcoFormer).

  The residual adds a low-rank estimate to scores and values (BiPFT).

  Args:
    features: of input and output.
    heads: divides `features`.
    kv_heads: heads of keys and values, divides `heads`; by default `heads`.
    mixer: one of `MIXERS`.
    weight, act: binarizers of the projections.
    query, key, value, probs: binarizers of the operands of the two products
      between activations; `None` keeps them float.
    context: binarizer of the input of the output projection; by default `act`.
    residual: rank of the low-rank estimate; 0 for none.
    share_key: whether queries and keys share one projection and one code.
    causal: whether a token attends only to itself and earlier tokens.
    rotary: base of the rotary position embedding; 0 for none.
    use_bias: whether projections have a bias.
    dropout: share of the probabilities, binarized or not, that training drops.
    dtype: of the computation.
    rngs: random numbers.

  Raises:
    ValueError: heads that do not divide the features, an unknown mixer, or
      arguments that contradict each other.
  """

  @checked
  def __init__(
    self,
    features: int,
    heads: int,
    *,
    kv_heads: int | None = None,
    mixer: str = "softmax",
    weight: Spec = None,
    act: Spec = None,
    query: Spec = None,
    key: Spec = None,
    value: Spec = None,
    probs: Spec = None,
    context: Spec = None,
    residual: int = 0,
    share_key: bool = False,
    causal: bool = False,
    rotary: float = 0.0,
    use_bias: bool = True,
    dropout: float = 0.0,
    dtype: Any = None,
    rngs: nnx.Rngs,
  ):
    kv_heads = heads if kv_heads is None else kv_heads
    checks.check_heads(features, heads, kv_heads)
    size = features // heads
    if mixer not in MIXERS:
      raise registry.unknown("mixer", mixer, MIXERS)

    def linear(after, act=act, **options):
      return Linear(
        features,
        after,
        weight=weight,
        act=act,
        use_bias=use_bias,
        dtype=dtype,
        rngs=rngs,
        **options,
      )

    self.query = linear(features)
    self.key = None if share_key else linear(size * kv_heads)
    self.value = linear(size * kv_heads)
    context = act if context is None else context
    self.out = linear(features, context, parallel="row")
    self.low_query = _binarize(query, heads, size)
    self.low_key = _binarize(None if share_key else key, kv_heads, size)
    self.low_value = _binarize(value, kv_heads, size)
    self.low_probs = _binarize(probs, 1, 1)
    self.residual = (
      LowRankEstimator(features, residual, dtype=dtype, rngs=rngs)
      if residual
      else None
    )
    self.dropout = Dropout(dropout, rngs=rngs)
    self.heads, self.kv_heads = heads, kv_heads
    self.mixer, self.causal, self.rotary = mixer, causal, rotary
    checks.check_attention(self, key, residual)

  def __call__(
    self,
    x: jax.Array,
    mode: Mode | None = None,
    *,
    mask: jax.Array | None = None,
    cache: KVCache | None = None,
  ) -> Any:
    """Attends within every sequence.

    Args:
      x: `[B, T, features]`.
      mode: training or deployment; by default as `train()` or `eval()` set it.
      mask: bool, broadcasts against `[B, heads, T, keys]`: which keys a query
        may attend to; with the mixer `"linear"` `[B, 1, 1, keys]`. A query
        without keys attends to all keys equally (softmax) or to none (none).
      cache: keys and values of the tokens before `x`.

    Returns:
      `[B, T, features]`; with a cache, a pair of this and the new cache.

    Raises:
      ValueError: a mask or cache of the wrong type or shape.
    """
    q, k, v = self._project(x, mode, 0 if cache is None else cache.length)
    if cache is not None:
      cache = cache.extended(k, v)
      k, v = cache.key, cache.value
    sow(self, mode, queries=q, keys=k, values=v)
    mask = self._visible(mask, x, k.shape[1], cache)
    low_q = _low_bit(self.low_query, q, mode)
    low_k = low_q if self.key is None else _low_bit(self.low_key, k, mode)
    low_v = _low_bit(self.low_value, v, mode)
    if self.heads != self.kv_heads:
      groups = self.heads // self.kv_heads
      low_k, low_v = (jnp.repeat(t, groups, axis=2) for t in (low_k, low_v))
    if self.mixer == "linear":
      keys = None if mask is None else mask[:, 0, 0]
      y = linear_attention(
        low_q,
        low_k,
        low_v,
        mask=keys,
        causal=self.causal,
      )
    else:
      y = self._mix(x, low_q, low_k, low_v, mask, mode)
    y = self.out(y.reshape(x.shape), mode)
    return y if cache is None else (y, cache)

  def _mix(self, x, q, k, v, mask, mode):
    """The quadratic mixers: `[B, T, heads, D]`."""
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k)
    if self.residual is not None:
      scores = scores + self.residual.scores(x, mode)
    scores = scores / q.shape[-1] ** 0.5
    if mask is not None:
      scores = jnp.where(mask, scores, jnp.finfo(scores.dtype).min)
    if self.mixer == "softmax":
      scores = jax.nn.softmax(scores, axis=-1)
    probs = self.dropout(_low_bit(self.low_probs, scores, mode), mode)
    y = jnp.einsum("bhqk,bkhd->bqhd", probs, v)
    if self.residual is not None:
      values = self.residual.values(x, mode)
      y = y + jnp.einsum("bhqk,bk->bqh", probs, values)[..., None]
    return y

  def _project(self, x, mode, position):
    """Queries, keys and values in heads, rotated, before binarization."""
    split = lambda y, heads: y.reshape(*y.shape[:-1], heads, -1)  # noqa: E731
    q = split(self.query(x, mode), self.heads)
    k = q if self.key is None else split(self.key(x, mode), self.kv_heads)
    v = split(self.value(x, mode), self.kv_heads)
    if self.rotary:
      positions = position + jnp.arange(x.shape[1])
      q, k = (rotary_lib.rotate(t, positions, self.rotary) for t in (q, k))
    return q, k, v

  def _visible(self, mask, x, keys, cache):
    """The given mask combined with causality and the fill of the cache."""
    batch, length = x.shape[:2]
    if self.mixer == "linear":
      return attention_mask.checked(mask, (batch, 1, 1, keys))
    mask = attention_mask.checked(mask, (batch, self.heads, length, keys))
    end = None if cache is None else cache.length
    return attention_mask.visible(mask, length, keys, self.causal, end)

  def cache(self, batch: int, tokens: int, dtype: Any = jnp.float32) -> KVCache:
    """An empty cache with room for `tokens` tokens.

    Raises:
      ValueError: the layer needs more than keys and values.
    """
    if self.mixer == "linear" or self.residual is not None:
      raise ValueError(
        "A cache holds keys and values; the mixer 'linear' and the residual"
        f" estimator need more: got mixer={self.mixer!r},"
        f" residual={self.residual is not None}."
      )
    size = self.query.out_features // self.heads
    return KVCache.empty((batch, tokens, self.kv_heads, size), dtype)


FIXED = ("features", "heads", "kv_heads", "rngs", "dtype")
OPTIONS = tuple(k for k in signature.of(Attention) if k not in FIXED)


def options(
  attention: str | Mapping[str, Any] | None, dropout: float = 0.0
) -> dict[str, Any]:
  """Arguments of `Attention` from a method's name, a mapping, or `None`.

  Args:
    attention: the name, the mapping or `None`.
    dropout: of the probabilities, unless the mixer has none or a mapping sets
      its own.

  Raises:
    ValueError: unknown method or argument.
  """
  found = _options(attention)
  if dropout and found.get("mixer") != "linear":
    found.setdefault("dropout", dropout)
  return found


def _options(attention: str | Mapping[str, Any] | None) -> dict[str, Any]:
  if attention is None or attention == "float":
    return {}
  if isinstance(attention, str):
    method = registry.get("method", attention)
    if not method.attention:
      raise ValueError(
        f"Method {attention!r} does not define attention: give a mapping of"
        " arguments, or a method for transformers."
      )
    return dict(method.attention)
  registry.check_names("argument of attention", attention, OPTIONS)
  return dict(attention)


def _binarize(spec: Spec, heads: int, size: int) -> Binarize:
  """A binarizer of `[B, T, heads, size]`."""
  like = jax.ShapeDtypeStruct((1, 1, heads, size), jnp.float32)
  return Binarize(spec, "act", like)


def _low_bit(binarize: Binarize, x: jax.Array, mode: Mode) -> jax.Array:
  """The quantized tensor as an array, with its surrogate gradient."""
  y = binarize(x, mode)
  return y.dequantize() if isinstance(y, Quantized) else y
