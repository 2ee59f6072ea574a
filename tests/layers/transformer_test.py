"""The encoder block: norms before or after its branches."""

import dataclasses

import jax
import numpy as np
import pytest
from flax import nnx

from bnnjax.layers.transformer import Encoder, EncoderBlock

X = jax.random.normal(jax.random.key(0), (2, 5, 8))


def test_norm_position(rngs):
  encoder = Encoder(8, 2, 16)
  pre = EncoderBlock(encoder, rngs=rngs)
  post = EncoderBlock(dataclasses.replace(encoder, norm="post"), rngs=rngs)
  nnx.update(post, nnx.state(pre))

  @nnx.jit
  def run(pre, post):
    x = X + pre.attention(pre.attention_norm(X))
    mlp = jax.nn.gelu(pre.expand(pre.mlp_norm(x)), approximate=False)
    return pre(X), x + pre.reduce(mlp), post(X)

  y, want, normed = run(pre, post)
  np.testing.assert_allclose(y, want, atol=1e-5)
  np.testing.assert_allclose(np.mean(normed, -1), np.zeros((2, 5)), atol=1e-5)


def test_the_mlp_has_binarizers_of_its_own(rngs):
  """By default those of all linear layers; "float" for none."""
  for mlp, low in ((None, True), ("float", False)):
    encoder = Encoder(8, 2, 16, weight="ste", mlp_weight=mlp)
    block = nnx.eval_shape(lambda e=encoder: EncoderBlock(e, rngs=nnx.Rngs(0)))
    assert block.attention.query.weight.binarizer is not None
    assert (block.expand.weight.binarizer is not None) == low


def test_unknown_norm_position(rngs):
  with pytest.raises(ValueError, match=r"Unknown norm position 'pro'"):
    EncoderBlock(Encoder(8, 2, 16, norm="pro"), rngs=rngs)
