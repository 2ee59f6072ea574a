"""Linear attention equals its quadratic form."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax import cost
from bnnjax.core import bits as bits_lib
from bnnjax.layers.linear_attention import linear_attention

KEYS = jax.random.split(jax.random.key(0), 3)
attend = jax.jit(linear_attention, static_argnames=("causal", "bias"))


def codes_and_values(tokens=7, bits=6):
  q, k = (
    jnp.where(jax.random.normal(key, (2, tokens, 3, bits)) >= 0, 1.0, -1.0)
    for key in KEYS[:2]
  )
  return q, k, jax.random.normal(KEYS[2], (2, tokens, 3, 5))


def quadratic(q, k, v, mask, causal, bias):
  """The weights one by one."""
  tokens, beta = q.shape[1], q.shape[-1] + 1
  see = np.broadcast_to(mask[:, None, None], (2, 3, tokens, tokens))
  see = np.tril(see) if causal else see
  agree = np.einsum("bthc,buhc->bhtu", q, k)
  share = see if bias == "all" else see * np.eye(tokens)
  weights = agree * see + beta * share
  total = ((agree + beta) * see).sum(-1, keepdims=True)
  weights = np.where(total > 0, weights / np.maximum(total, 1), 0)
  return np.einsum("bhtu,buhd->bthd", weights, v)


@pytest.mark.parametrize(
  ("masked", "causal", "bias"),
  list(itertools.product((False, True), (False, True), ("own", "all"))),
)
def test_linear_equals_quadratic(masked, causal, bias):
  q, k, v = codes_and_values()
  # The first sample sees nothing before its third token.
  mask = np.ones((2, 7), bool)
  mask[0, :2] = mask[1, 3] = not masked
  y = attend(q, k, v, mask=mask, causal=causal, bias=bias)
  want = quadratic(*map(np.asarray, (q, k, v)), mask, causal, bias)
  np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-5)
  if not masked:
    bare = attend(q, k, v, causal=causal, bias=bias)
    np.testing.assert_allclose(y, bare, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("bias", ["own", "all"])
def test_padding_equals_a_shorter_sequence(causal, bias):
  q, k, v = codes_and_values()
  options = {"causal": causal, "bias": bias}
  mask = jnp.arange(7)[None] < jnp.array([[4], [4]])
  padded = attend(q, k, v, mask=mask, **options)
  short = attend(*(x[:, :4] for x in (q, k, v)), **options)
  np.testing.assert_allclose(padded[:, :4], short, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
def test_a_hidden_value_gets_no_gradient(causal):
  q, k, v = codes_and_values()
  mask = jnp.arange(7)[None] < jnp.array([[4], [7]])
  grads = jax.grad(
    lambda *x: jnp.sum(jnp.sin(attend(*x, mask=mask, causal=causal))),
    argnums=(0, 1, 2),
  )(q, k, v)
  assert all(np.all(np.isfinite(g)) for g in grads)
  for g in grads[1:]:
    np.testing.assert_array_equal(g[0, 4:], 0)
    assert np.all(np.any(g[1] != 0, axis=-1))


@pytest.mark.parametrize("causal", [False, True])
def test_long_bfloat16_sequences_are_summed_in_float32(causal):
  """Ones alone: the sums of codes pass 256, where bfloat16 skips numbers."""
  ones = jnp.ones((1, 700, 1, 4), jnp.bfloat16)
  y = attend(ones, ones, ones, causal=causal, bias="all")
  assert y.dtype == jnp.bfloat16
  np.testing.assert_array_equal(y.astype(jnp.float32), 1)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
  ("dtype", "width"), [("float32", 32), ("bfloat16", 16)]
)
def test_products_are_counted_as_codes_times_floats(causal, dtype, width):
  b, t, h, c, d = 2, 12, 3, 16, 8

  def tagged(q, k, v, mask):
    q, k = (bits_lib.tag(x, 1, role="act") for x in (q, k))
    return linear_attention(q, k, v, mask=mask, causal=causal)

  code = jax.ShapeDtypeStruct((b, t, h, c), dtype)
  value = jax.ShapeDtypeStruct((b, t, h, d), dtype)
  report = cost.count(
    tagged, code, code, value, jax.ShapeDtypeStruct((b, t), bool)
  )
  keys, states, norms = b * t * h * c * d, b * t * h * c * d, b * t * h * c
  want = {(width, 1): keys}
  want[32, 1] = want.get((32, 1), 0) + states + norms
  assert dict(report.macs) == want


def test_linear_attention_names_what_does_not_fit():
  q, k, v = codes_and_values()
  with pytest.raises(ValueError, match=r"got q \(2, 7, 3, 6\), k \(2, 7, 3, 5"):
    linear_attention(q, k[..., :5], v)
  with pytest.raises(ValueError, match=r"\(2, 7\): got \(2, 6\)"):
    linear_attention(q, k, v, mask=jnp.ones((2, 6), bool))
  with pytest.raises(ValueError, match="Did you mean 'own'"):
    linear_attention(q, k, v, bias="owns")
