"""BERT: sizes, embeddings, masks, training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax import models
from bnnjax.cost import count
from bnnjax.models.bert import BERT, Embedding

SMALL = {"vocab": 11, "max_len": 8, "features": 16, "blocks": 1, "heads": 2}
TOKENS = jnp.array([[1, 2, 3, 0], [4, 5, 0, 0]])


# Devlin et al. and Turc et al., with embeddings and pooler.
@pytest.mark.parametrize(
  ("variant", "parameters"),
  [
    ("tiny", 4_385_920),
    ("small", 28_763_648),
    ("base", 109_482_240),
    pytest.param("large", 335_141_888, marks=pytest.mark.slow),
  ],
)
def test_parameters(variant, parameters):
  model = models.abstract(lambda rngs: BERT(variant=variant, rngs=rngs))
  sizes = [p.size for p in jax.tree.leaves(nnx.state(model, nnx.Param))]
  assert sum(sizes) == parameters


def test_padding_does_not_reach_the_result(rngs):
  model = nnx.jit(BERT(**SMALL, num_classes=3, rngs=rngs))
  mask = TOKENS > 0
  y = model(TOKENS, mask=mask)
  assert y.shape == (2, 3)
  other = jnp.where(mask, TOKENS, 9)
  np.testing.assert_allclose(model(other, mask=mask), y, atol=1e-5)
  assert np.abs(model(other, mask=mask | True) - y).max() > 1e-4


def test_binary_embedding_is_counted_as_stored(rngs):
  """One bit an entry; rows keep the scale of the table."""
  table = Embedding(11, 16, weight="ste|tensor_l1", rngs=rngs)
  rows = np.asarray(table(TOKENS))
  np.testing.assert_allclose(np.unique(np.abs(rows)).size, 1)
  report = count(table, jax.ShapeDtypeStruct((2, 4), jnp.int32))
  assert report.weight_bits("bibert") == 11 * 16


def test_one_step():
  config = {"name": "bert", **SMALL, "embedding": "ste|channel_l1"}

  @jax.jit
  def gradients():
    model = models.build(config, rngs=nnx.Rngs(0), num_classes=3)
    graph, params, rest = nnx.split(model, nnx.Param, ...)

    def loss(params):
      y = nnx.merge(graph, params, rest)(TOKENS, mask=TOKENS > 0)
      return -jnp.mean(jax.nn.log_softmax(y)[:, 0])

    return jax.grad(loss)(params)

  for path, g in nnx.to_flat_state(gradients()):
    g = g[...]
    assert np.isfinite(g).all(), path
    if path[-1] in ("kernel", "table"):
      assert np.abs(g).max() > 0, path


def test_errors(rngs):
  with pytest.raises(
    ValueError, match=r"9 tokens is longer than `max_len` = 8"
  ):
    BERT(**SMALL, rngs=rngs)(jnp.zeros((1, 9), jnp.int32))
  with pytest.raises(ValueError, match="Unknown BERT variant 'huge'"):
    BERT(variant="huge", rngs=rngs)
  with pytest.raises(ValueError, match="16 features in 3 heads"):
    BERT(**{**SMALL, "heads": 3}, rngs=rngs)
