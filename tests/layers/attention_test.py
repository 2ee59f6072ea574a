"""Attention against numpy, and its methods."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.cost import count
from bnnjax.layers.attention import Attention, options
from tests import golden_cases, torch_layers

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
  loss = lambda p: (nnx.merge(graph, p, rest)(X) ** 2).sum()  # noqa: E731
  grads = jax.jit(jax.grad(loss))(params)
  for name in ("query", "key", "value", "out"):
    assert np.abs(grads[name]["kernel"][...]).max() > 0


MIXED = {
  "bibert": {"weight": "bibert", "act": "bibert"},
  "bipft": {"weight": "bipft", "act": "bipft"},
  "bivit": {"weight": "bivit", "act": "bivit"},
  "all_ones": {"weight": "bibert", "act": "bibert"},
  "rounded_softmax": {"weight": "bibert", "act": "bibert"},
}


@pytest.mark.parametrize("method", MIXED)
def test_products_of_a_method_are_one_bit(method, rngs):
  """Every product between activations; the residual is float."""
  layer = Attention(8, 2, **MIXED[method], **options(method), rngs=rngs)
  report = count(layer, jax.ShapeDtypeStruct((1, 5, 8), jnp.float32))
  scores, context = 5 * 5 * 8, 5 * 5 * 8
  assert report.bops == 4 * 5 * 8 * 8 + scores + context


@pytest.mark.parametrize("method", MIXED)
def test_masked_keys_of_a_method_are_not_seen(method, rngs):
  layer = Attention(8, 2, **MIXED[method], **options(method), rngs=rngs)
  mask = jnp.arange(5) < 3
  run = nnx.jit(lambda layer, x: layer(x, mask=mask)[:, :3])
  other = X.at[:, 3:].set(7.0)
  np.testing.assert_allclose(run(layer, other), run(layer, X), atol=1e-5)


def test_causal_attention_equals_a_mask(rngs):
  causal = Attention(8, 2, causal=True, rngs=rngs)
  plain = Attention(8, 2, rngs=rngs)
  nnx.update(plain, nnx.state(causal))
  seen = jnp.tril(jnp.ones((5, 5), bool))
  np.testing.assert_allclose(causal(X), plain(X, mask=seen), atol=1e-6)


def test_cache_continues_a_sequence(rngs):
  layer = Attention(8, 2, kv_heads=1, causal=True, rotary=100.0, rngs=rngs)
  run = nnx.jit(lambda layer, x, cache=None: layer(x, cache=cache))
  want = run(layer, X)
  first, cache = run(layer, X[:, :2], layer.cache(2, 6))
  rest, cache = run(layer, X[:, 2:], cache)
  got = jnp.concatenate([first, rest], 1)
  np.testing.assert_allclose(got, want, atol=1e-5)
  assert cache.length == 5


@pytest.mark.golden
def test_ecoformer_attention():
  arrays = golden_cases.arrays("ecoformer_attention.npz")
  heads, bits = int(arrays["hp.heads"]), int(arrays["hp.nbits"])
  anchors, size = int(arrays["hp.m"]), int(arrays["hp.head_dim"])
  spec = f"ksh(bits={bits}, anchors={anchors}) > ste(strict=True, at_zero=0)"
  given = {**options("ecoformer"), "query": spec}
  layer = Attention(heads * size, heads, **given, rngs=nnx.Rngs(0))
  names = {
    f"{theirs}.{kind}": f"{ours}.{'kernel' if kind == 'weight' else kind}"
    for theirs, ours in (
      ("to_qk", "query"),
      ("to_v", "value"),
      ("proj", "out"),
    )
    for kind in ("weight", "bias")
  }
  own = {k.removeprefix("param."): v for k, v in arrays.items()}
  torch_layers.fill(layer, own, names)
  stats = layer.low_query.stats
  for ours, theirs in (("hash", "A"), ("anchors", "anchor"), ("mean", "mvec")):
    found = stats[ours]
    found[...] = jnp.asarray(arrays[f"ksh.{theirs}"]).reshape(found.shape)
  y, grads, dx = torch_layers.gradients(layer, own["x"], arrays["gy"])
  golden_cases.close(y, arrays["y"], 1e-4, "y")
  golden_cases.close(dx, arrays["grad.x"], 1e-4, "x")
  want = {k.removeprefix("grad."): v for k, v in arrays.items()}
  torch_layers.check_gradients(grads, want, names, lambda _: 1e-4)


def test_errors_of_parts_and_masks(rngs):
  with pytest.raises(ValueError, match=r"Did you mean 'softmax'"):
    Attention(8, 2, mixer="softmx", rngs=rngs)
  with pytest.raises(ValueError, match="'none' needs a binarizer `probs`"):
    Attention(8, 2, mixer="none", rngs=rngs)
  with pytest.raises(ValueError, match="'linear' makes no map of prob"):
    Attention(
      8, 2, mixer="linear", probs="ste", query="ste", key="ste", rngs=rngs
    )
  with pytest.raises(ValueError, match="give binarizers `query`"):
    Attention(8, 2, mixer="linear", rngs=rngs)
  with pytest.raises(ValueError, match=r"Did you mean 'residual'"):
    options({"residul": 1})
  layer = Attention(8, 2, rngs=rngs)
  with pytest.raises(ValueError, match=r"= \(2, 2, 5, 5\): got shape \(4,\)"):
    layer(X, mask=jnp.ones(4, bool))
  linear = Attention(8, 2, **options("ecoformer"), rngs=rngs)
  with pytest.raises(ValueError, match=r"= \(2, 1, 1, 5\): got shape \(5, 5\)"):
    linear(X, mask=jnp.ones((5, 5), bool))
  with pytest.raises(ValueError, match="the mixer 'linear' and the residual"):
    linear.cache(2, 8)
  with pytest.raises(ValueError, match="'bireal' does not define attention"):
    options("bireal")
  with pytest.raises(ValueError, match="`share_key` is for the mixer 'linear'"):
    Attention(8, 2, share_key=True, rngs=rngs)
  with pytest.raises(ValueError, match="of that alphabet, without a scale"):
    Attention(
      8, 2, mixer="linear", query="elastic|learned_step", key="ste", rngs=rngs
    )
  with pytest.raises(ValueError, match="needs a binarizer `probs`"):
    Attention(8, 2, mixer="none", probs="float", rngs=rngs)


def test_grouped_keys_are_binarized_once_and_counted_one_bit(rngs):
  low = {"query": "ste", "key": "ste", "value": "ste", "probs": "softmax_aware"}
  layer = Attention(8, 4, kv_heads=2, **low, rngs=rngs)
  report = count(layer, jax.ShapeDtypeStruct((1, 5, 8), jnp.float32))
  assert report.bops == 2 * 5 * 5 * 8
