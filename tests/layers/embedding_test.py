"""Embedding tables: rows, products, and tables made of terms."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import bnnjax as bx
from bnnjax.layers.embedding import Embedding

K, O = 64, 40
W = jax.random.normal(jax.random.key(0), (K, O))
SIGNS = jnp.where(W >= 0, 1.0, -1.0)
ROW, COLUMN = jnp.full((K, 1), 0.5), jnp.full((1, O), 2.0)
ONE = bx.BitTag(1, (-1, 1))


def test_rows_of_a_latent_table(rngs):
  """Low-bit rows, but float products, `[..., features] -> [..., entries]`."""
  words = Embedding(3, 2, weight="ste", rngs=rngs)
  words.table[...] = jnp.array([[1.0, 0.5], [-2.0, 3.0], [0.0, -0.1]])
  rows = words(jnp.array([[2, 1]]))
  assert rows.shape == (1, 2, 2)
  np.testing.assert_array_equal(np.sign(rows), [[[1, -1], [-1, 1]]])
  logits = words.attend(jnp.array([10.0, 2.0]))
  np.testing.assert_allclose(logits, [11, -14, -0.2], rtol=1e-6)


def test_tables_of_terms():
  table = bx.Quantized((bx.Term(SIGNS, (ROW, COLUMN), None, ONE),))
  words = Embedding(K, O, weight=table, rngs=nnx.Rngs(0))
  one = bx.QuantizedWeight(
    bx.WeightTerm(W[:1], "ste", mask=np.arange(O) % 10 > 0)
  )
  few = Embedding(1, O, weight=one, rngs=nnx.Rngs(0))
  assert few(jnp.zeros((2, 3), int)).shape == (2, 3, O)
  # The mask is stored once, in an array of its own.
  report = bx.count(few, jax.ShapeDtypeStruct((2,), jnp.int32))
  assert report.weight_bits("packed") == O
  rows = SIGNS * ROW * COLUMN
  np.testing.assert_array_equal(
    words(jnp.array([3, 1])), rows[jnp.array([3, 1])]
  )
  x = jax.random.normal(jax.random.key(5), (2, O))
  np.testing.assert_allclose(words.attend(x), x @ rows.T, rtol=1e-5, atol=1e-5)
  report = bx.count(words, jax.ShapeDtypeStruct((2,), jnp.int32))
  assert report.weight_bits("deployed") == K * 64 + 32 * (K + O)
