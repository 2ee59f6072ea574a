"""Decoders: causality, the cache, grouped heads, counts, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax import models
from bnnjax.cost import count
from bnnjax.models.decoder import Decoder

SMALL = {
  "vocab": 11, "max_len": 8, "features": 16, "blocks": 2, "heads": 4,
  "hidden": 24, "kv_heads": 2,
}  # fmt: skip
TOKENS = jnp.array([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]])


# Touvron et al. 2023 and FBI-LLM's table: untied head, vocabulary 32,000.
@pytest.mark.parametrize(
  ("variant", "billions"), [("130M", 0.134), ("1.3B", 1.364), ("7B", 6.738)]
)
def test_parameters(variant, billions):
  build = lambda rngs: Decoder(variant=variant, weight=None, rngs=rngs)  # noqa: E731
  sizes = [p.size for p in jax.tree.leaves(nnx.state(models.abstract(build)))]
  assert round(sum(sizes) / 1e9, 3) == billions


@pytest.mark.parametrize("method", [None, "fbi_llm", "bitnet", "bitnet_b158"])
def test_token_by_token_equals_all_at_once(method):
  make = lambda: Decoder(**SMALL, weight=method, act=method, rngs=nnx.Rngs(0))  # noqa: E731
  model = nnx.jit(make)()
  want = nnx.jit(lambda m: m(TOKENS))(model)
  caches, got = model.empty_caches(2), []
  step = nnx.jit(lambda m, token, caches: m(token, caches=caches))
  for t in range(TOKENS.shape[1]):
    logits, caches = step(model, TOKENS[:, t : t + 1], caches)
    got.append(logits)
  np.testing.assert_allclose(jnp.concatenate(got, 1), want, atol=2e-5)


@pytest.fixture(scope="module")
def model():
  return nnx.jit(lambda: Decoder(**SMALL, rngs=nnx.Rngs(0)))()


def test_later_tokens_do_not_reach_earlier_ones(model):
  run = nnx.jit(lambda m, tokens: m(tokens))
  got, changed = run(model, TOKENS), run(model, TOKENS.at[:, 3:].set(0))
  np.testing.assert_allclose(changed[:, :3], got[:, :3])
  assert np.abs(changed[:, 3:] - got[:, 3:]).max() > 1e-5


def test_one_bit_layers_are_counted(model):
  report = count(model, jax.ShapeDtypeStruct((1, 5), jnp.int32))
  attention = 16 * 16 * 2 + 16 * 8 * 2
  assert report.macs[1, 32] == 5 * 2 * (attention + 3 * 16 * 24)


def test_errors(model, rngs):
  with pytest.raises(ValueError, match=r"9 tokens is longer than `max_len`"):
    model(jnp.zeros((1, 9), jnp.int32))
  with pytest.raises(ValueError, match=r"`kv_heads` must divide the heads"):
    Decoder(**{**SMALL, "kv_heads": 3}, rngs=rngs)
  with pytest.raises(ValueError, match="do not fit"):
    model(TOKENS, caches=model.empty_caches(2, 4))
  with pytest.raises(ValueError, match="Unknown decoder variant"):
    Decoder(variant="13B", rngs=rngs)
