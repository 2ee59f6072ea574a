"""`Quantized`: its factors and transposition."""

import dataclasses
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.core import dot_and_conv
from bnnjax.core.bits import BitTag
from bnnjax.core.quantized import Quantized, Term
from bnnjax.core.spec import parse

KEYS = jax.random.split(jax.random.key(0), 8)
K, O = 8, 6
SIGNS = jnp.where(jax.random.normal(KEYS[0], (K, O)) >= 0, 1.0, -1.0)
ONE = BitTag(1, (-1, 1))
GROUPED = BitTag(1, (-1, 1), group=4)
ROW = jax.random.uniform(KEYS[1], (K, 1))
COLUMN = jax.random.uniform(KEYS[2], (1, O))
GROUP = jax.random.uniform(KEYS[3], (2, O))


def quantized(**changes):
  return Quantized((dataclasses.replace(Term(SIGNS, kind=ONE), **changes),))


@pytest.mark.parametrize(
  ("factors", "kind", "full"),
  [
    ((), ONE, 1),
    ((COLUMN,), ONE, COLUMN),
    ((ROW,), ONE, ROW),
    ((ROW, COLUMN), ONE, ROW * COLUMN),
    ((GROUP,), GROUPED, jnp.repeat(GROUP, 4, axis=0)),
    ((GROUP, COLUMN), GROUPED, jnp.repeat(GROUP, 4, axis=0) * COLUMN),
    ((ROW, GROUP), GROUPED, jnp.repeat(GROUP, 4, axis=0) * ROW),
    ((jnp.float32(0.5), COLUMN), ONE, 0.5 * COLUMN),
  ],
)
@pytest.mark.parametrize("act", [None, "ste", "symmetric(bits=8)|token_max"])
def test_every_factor_finds_its_place(factors, kind, full, act):
  q = quantized(scale=factors, kind=kind).validate()
  want = SIGNS * full
  np.testing.assert_allclose(q.dequantize(), want, rtol=1e-6)
  np.testing.assert_allclose(q.T.dequantize(), want.T, rtol=1e-6)
  x = jax.random.normal(KEYS[4], (3, K))
  a = x if act is None else parse(act, "act").apply(x)[0]
  dense = x if act is None else a.dequantize()
  y = dot_and_conv.dot(a, q)
  np.testing.assert_allclose(y, dense @ want, rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(
    dot_and_conv.dot(jax.random.normal(KEYS[5], (3, O)), q.T),
    jax.random.normal(KEYS[5], (3, O)) @ want.T,
    rtol=1e-5,
    atol=1e-5,
  )


def test_is_data_of_a_module():
  class Layer(nnx.Module):
    def __init__(self):
      self.weight = quantized(scale=(ROW, COLUMN))

    def __call__(self, x):
      return dot_and_conv.dot(x, self.weight)

  x = jnp.ones((2, K))
  layer = Layer()
  graph, state = nnx.split(layer)
  assert len(jax.tree.leaves(state)) == 3
  merged = nnx.merge(graph, jax.tree.map(lambda a: 2 * a, state))
  np.testing.assert_allclose(merged(x), 8 * layer(x), rtol=1e-5)


def test_a_measured_scale_under_a_mask_is_of_its_elements():
  """Against a mean and a maximum over the masked elements, in numpy."""
  w = np.asarray(jax.random.normal(KEYS[6], (K, O)))
  mask = np.abs(w) < 0.9
  density = Fraction(int(mask.sum()), mask.size)
  for scale, reduce in (("channel_l1", np.mean), ("channel_max", np.max)):
    made = parse(f"ste|{scale}", "weight")
    got, _ = made.apply(jnp.asarray(w), mask=jnp.asarray(mask), density=density)
    want = [reduce(np.abs(w[mask[:, o], o])) for o in range(O)]
    np.testing.assert_allclose(got.terms[0].scale[0], want, rtol=1e-5)
    signs = np.where(w >= 0, 1, -1) * mask
    np.testing.assert_allclose(got.dequantize(), signs * want, rtol=1e-5)
    assert got.terms[0].kind.density == density
  made = parse("ste|channel_l1(pow2=True)", "weight")
  with pytest.raises(ValueError, match="pow2"):
    made.apply(jnp.asarray(w), mask=jnp.asarray(mask), density=density)
