"""Multi-head attention whose projections and products may be low-bit."""

import dataclasses
import functools
import inspect
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.progress import DEPLOYED, Mode
from bnnjax.core.quantized import Quantized
from bnnjax.layers import rotary as rotary_lib
from bnnjax.layers.binarize import Binarize
from bnnjax.layers.intermediates import sow
from bnnjax.layers.linear import Linear, Spec
from bnnjax.layers.linear_attention import linear_attention
from bnnjax.layers.residual_estimator import ResidualEstimator

MIXERS = ("softmax", "none", "linear")


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=("key", "value", "length"),
  meta_fields=(),
)
@dataclasses.dataclass(frozen=True)
class Cache:
  """Keys and values of the tokens so far, for decoding token by token.

  Attributes:
    key, value: `[B, S, kv_heads, D]`, float, filled up to `length`.
    length: tokens so far, int32.
  """

  key: jax.Array
  value: jax.Array
  length: jax.Array


class Attention(nnx.Module):
  """Projections, a mixer of tokens, and binarizers of its operands.

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
    residual: rank of the residual estimator; 0 for none.
    share_key: queries and keys are one projection and one code.
    causal: a token sees itself and those before it.
    rotary: base of the rotary position embedding; 0 for none.
    use_bias: whether projections have a bias.
    dtype: of the computation.
    rngs: random numbers.

  Raises:
    ValueError: heads that do not divide, an unknown mixer, or parts that do not
      go together.
  """

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
    dtype: Any = None,
    rngs: nnx.Rngs,
  ):
    kv_heads = heads if kv_heads is None else kv_heads
    _check_heads(features, heads, kv_heads)
    size = features // heads
    _check_parts(mixer, probs, query, key, residual, share_key)

    def linear(after, act=act):
      return Linear(
        features,
        after,
        weight=weight,
        act=act,
        use_bias=use_bias,
        dtype=dtype,
        rngs=rngs,
      )

    self.query = linear(features)
    self.key = None if share_key else linear(size * kv_heads)
    self.value = linear(size * kv_heads)
    self.out = linear(features, act if context is None else context)
    like = jax.ShapeDtypeStruct((1, 1, heads, size), jnp.float32)
    self.low_query = Binarize(query, "act", like)
    self.low_key = Binarize(None if share_key else key, "act", like)
    self.low_value = Binarize(value, "act", like)
    row = jax.ShapeDtypeStruct((1, 1, 1, 1), jnp.float32)
    self.low_probs = Binarize(probs, "act", row)
    self.residual = (
      ResidualEstimator(features, residual, dtype=dtype, rngs=rngs)
      if residual
      else None
    )
    self.heads, self.kv_heads = heads, kv_heads
    self.mixer, self.causal, self.rotary = mixer, causal, rotary

  def __call__(
    self,
    x: jax.Array,
    mode: Mode = DEPLOYED,
    *,
    mask: jax.Array | None = None,
    cache: Cache | None = None,
  ) -> Any:
    """Attends within every sequence.

    Args:
      x: `[B, T, features]`.
      mode: on whose behalf.
      mask: bool, broadcasts against `[B, heads, T, keys]`: which keys a query
        may see; with the mixer `"linear"` `[B, 1, 1, keys]`. A query that may
        see none attends to all alike (softmax), or to nothing (none).
      cache: of the tokens before `x`.

    Returns:
      `[B, T, features]`; with a cache, that and the new cache.

    Raises:
      ValueError: a mask of another type or shape, a cache that cannot be used.
    """
    q, k, v = self._project(x, mode, 0 if cache is None else cache.length)
    if cache is not None:
      self._check_cache(cache, x)
      cache = _extended(cache, k, v)
      k, v = cache.key, cache.value
    sow(self, mode, queries=q, keys=k, values=v)
    mask = self._visible(mask, x, k.shape[1], cache)
    k, v = (
      jnp.repeat(t, self.heads // self.kv_heads, 2)
      if self.heads != self.kv_heads
      else t
      for t in (k, v)
    )
    low_q = _low_bit(self.low_query, q, mode)
    low_k = low_q if self.key is None else _low_bit(self.low_key, k, mode)
    low_v = _low_bit(self.low_value, v, mode)
    if self.mixer == "linear":
      keys = None if mask is None else mask[:, 0, 0]
      y = linear_attention(
        low_q,
        low_k,
        low_v,
        bits=low_q.shape[-1],
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
    probs = _low_bit(self.low_probs, scores, mode)
    y = jnp.einsum("bhqk,bkhd->bqhd", probs, v)
    if self.residual is not None:
      values = self.residual.values(x, mode)
      y = y + jnp.einsum("bhqk,bk->bqh", probs, values)[..., None]
    return y

  def _project(self, x, mode, position):
    """Queries, keys and values in heads, rotated, before binarization."""
    q = self._split(self.query(x, mode), self.heads)
    k = q if self.key is None else self._split(self.key(x, mode), self.kv_heads)
    v = self._split(self.value(x, mode), self.kv_heads)
    if self.rotary:
      positions = position + jnp.arange(x.shape[1])
      q, k = (rotary_lib.rotate(t, positions, self.rotary) for t in (q, k))
    return q, k, v

  @staticmethod
  def _split(x, heads):
    """`[B, T, C] -> [B, T, heads, C / heads]`."""
    return x.reshape(*x.shape[:-1], heads, -1)

  def _visible(self, mask, x, keys, cache):
    """The given mask, and what causality and the cache leave of it."""
    batch, length = x.shape[:2]
    if mask is not None:
      heads = 1 if self.mixer == "linear" else self.heads
      rows = 1 if self.mixer == "linear" else length
      mask = _checked_mask(mask, (batch, heads, rows, keys))
    if self.mixer == "linear" or not (self.causal or cache is not None):
      return mask
    first = 0 if cache is None else cache.length - length
    seen = first + jnp.arange(length)[:, None] >= jnp.arange(keys)
    if not self.causal:
      seen = jnp.arange(keys) < cache.length
    return seen if mask is None else mask & seen

  def _check_cache(self, cache, x):
    if self.mixer == "linear" or self.residual is not None:
      raise ValueError(
        "A cache holds keys and values; the mixer 'linear' and the residual"
        f" estimator need more: got mixer={self.mixer!r},"
        f" residual={self.residual is not None}."
      )
    shape = (x.shape[0], cache.key.shape[1], self.kv_heads)
    size = x.shape[-1] // self.heads
    if cache.key.shape != (*shape, size) or x.shape[1] > shape[1]:
      raise ValueError(
        f"The cache must be [batch, tokens, kv_heads, {size}] with room for"
        f" {x.shape[1]} tokens: got {cache.key.shape} for an input of"
        f" {x.shape} in {self.kv_heads} heads."
      )

  def cache(self, batch: int, tokens: int, dtype: Any = jnp.float32) -> Cache:
    """An empty cache with room for `tokens` tokens."""
    size = self.query.out_features // self.heads
    zeros = jnp.zeros((batch, tokens, self.kv_heads, size), dtype)
    return Cache(zeros, zeros, jnp.zeros((), jnp.int32))


def options(attention: str | Mapping[str, Any] | None) -> dict[str, Any]:
  """Arguments of `Attention` from a method's name, a mapping, or `None`.

  Raises:
    ValueError: unknown method, or an argument that `Attention` does not take.
  """
  if attention is None or attention == "float":
    return {}
  if isinstance(attention, str):
    return dict(registry.get("method", attention).attention)
  known = list(inspect.signature(Attention.__init__).parameters)[3:]
  for name in attention:
    if name not in known:
      raise registry.unknown("argument of attention", name, known)
  return dict(attention)


def _extended(cache: Cache, k, v) -> Cache:
  at = (0, cache.length, 0, 0)
  put = lambda old, new: jax.lax.dynamic_update_slice(  # noqa: E731
    old, new.astype(old.dtype), at
  )
  length = cache.length + k.shape[1]
  return Cache(put(cache.key, k), put(cache.value, v), length)


def _check_heads(features, heads, kv_heads):
  if heads < 1 or features % heads:
    raise ValueError(
      f"`heads` must divide the features: got {features} features in"
      f" {heads} heads."
    )
  if kv_heads < 1 or heads % kv_heads:
    raise ValueError(
      f"`kv_heads` must divide the heads: got {heads} heads and {kv_heads} of"
      " keys and values."
    )


def _check_parts(mixer, probs, query, key, residual, share_key):
  if mixer not in MIXERS:
    raise registry.unknown("mixer", mixer, MIXERS)
  if mixer == "none" and probs is None:
    raise ValueError(
      "The mixer 'none' needs a binarizer `probs`, e.g. 'ste_heaviside': without"
      " one, nothing bounds the scores."
    )
  if mixer == "linear":
    if probs is not None or residual:
      raise ValueError(
        "The mixer 'linear' makes no map of probabilities: leave out `probs` and"
        f" `residual`, got {probs!r} and {residual!r}."
      )
    if query is None or (key is None and not share_key):
      raise ValueError(
        "The mixer 'linear' weighs codes in {-1, +1}: give binarizers `query`"
        " and `key`, or `share_key=True`."
      )
  if residual < 0:
    raise ValueError(f"`residual` is a rank, at least 0, got {residual}.")


def _checked_mask(mask, shape):
  if mask.dtype != bool:
    raise ValueError(
      f"`mask` must be bool (True: may be seen), got {mask.dtype}."
    )
  padded = (1,) * (4 - mask.ndim) + mask.shape
  if mask.ndim > 4 or any(m not in (1, n) for m, n in zip(padded, shape)):
    raise ValueError(
      f"`mask` must broadcast to [batch, heads, queries, keys] = {shape}: got"
      f" shape {mask.shape}."
    )
  return jnp.broadcast_to(mask, (*padded[:3], shape[3]))


def _low_bit(binarize: Binarize, x: jax.Array, mode: Mode) -> jax.Array:
  """The quantized tensor as an array, with its surrogate gradient."""
  y = binarize(x, mode)
  return y.dequantize() if isinstance(y, Quantized) else y
