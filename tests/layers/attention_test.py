"""Attention and the encoder block, against numpy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.cost import count
from bnnjax.layers.attention import Attention
from bnnjax.layers.transformer import Encoder, EncoderBlock

X = jax.random.normal(jax.random.key(0), (2, 5, 8))


def expected(layer, x, mask=None):
  """Softmax attention in heads, one at a time."""
  x = np.asarray(x)

  def project(linear, x):
    return x @ np.asarray(linear.kernel[...]) + np.asarray(linear.bias[...])

  q, k, v = (project(p, x) for p in (layer.query, layer.key, layer.value))
  size = x.shape[-1] // layer.heads
  out = np.zeros_like(x)
  for h in range(layer.heads):
    at = slice(h * size, (h + 1) * size)
    s = q[..., at] @ k[..., at].transpose(0, 2, 1) / np.sqrt(size)
    if mask is not None:
      s = np.where(mask, s, -np.inf)
    p = np.exp(s - s.max(-1, keepdims=True))
    out[..., at] = p / p.sum(-1, keepdims=True) @ v[..., at]
  return project(layer.out, out)


def test_attention_without_binarizers(rngs):
  layer = Attention(8, 2, rngs=rngs)
  np.testing.assert_allclose(layer(X), expected(layer, X), atol=1e-5)


def test_masked_keys_are_not_seen(rngs):
  layer = Attention(8, 2, rngs=rngs)
  mask = jnp.arange(5) < 3
  y = layer(X, mask=mask)
  np.testing.assert_allclose(y, expected(layer, X, mask), atol=1e-5)
  other = X.at[:, 3:].set(7.0)
  np.testing.assert_allclose(
    layer(other, mask=mask)[:, :3], y[:, :3], atol=1e-5
  )
  nothing = layer(X, mask=jnp.zeros(5, bool))
  assert np.isfinite(nothing).all()


def test_low_bit_products_are_counted_and_trained(rngs):
  low = dict.fromkeys(("weight", "act", "query", "key", "value"), "ste")
  layer = Attention(8, 2, **low, rngs=rngs)
  report = count(layer, jax.ShapeDtypeStruct((1, 5, 8), jnp.float32))
  scores, context = 5 * 5 * 8, 5 * 5 * 8
  assert report.bops == 4 * 5 * 8 * 8 + scores
  assert report.flops == context
  graph, params, rest = nnx.split(layer, nnx.Param, ...)
  grads = jax.grad(lambda p: (nnx.merge(graph, p, rest)(X) ** 2).sum())(params)
  for name in ("query", "key", "value", "out"):
    assert np.abs(grads[name]["kernel"][...]).max() > 0


def test_norm_position(rngs):
  encoder = Encoder(8, 2, 16)
  pre = EncoderBlock(encoder, rngs=rngs)
  post = EncoderBlock(dataclasses.replace(encoder, norm="post"), rngs=rngs)
  nnx.update(post, nnx.state(pre))
  y = post(X)
  np.testing.assert_allclose(np.mean(y, axis=-1), np.zeros((2, 5)), atol=1e-5)
  x = np.asarray(X + pre.attention(pre.attention_norm(X)))
  want = x + pre.reduce(
    jax.nn.gelu(pre.expand(pre.mlp_norm(x)), approximate=False)
  )
  np.testing.assert_allclose(pre(X), want, atol=1e-5)


def test_errors(rngs):
  with pytest.raises(ValueError, match=r"8 features in 3 heads"):
    Attention(8, 3, rngs=rngs)
  with pytest.raises(ValueError, match=r"Unknown norm position 'pro'"):
    EncoderBlock(Encoder(8, 2, 16, norm="pro"), rngs=rngs)
