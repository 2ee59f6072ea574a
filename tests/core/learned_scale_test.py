"""The trained scale: where it starts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core.spec import parse

W = np.random.default_rng(0).normal(size=(3, 3, 4, 6)).astype(np.float32)


def test_learned_starts_from_the_weights_or_a_number():
  for axes, shape in (("channel", (1, 1, 1, 6)), ("input", (1, 1, 4, 1))):
    params, _ = parse(f"ste|learned(axes='{axes}')", "weight").init(
      jnp.asarray(W)
    )
    assert params["scale"].shape == shape
  made = parse("ste|learned(init=2.0)", "act")
  params, _ = made.init(jax.ShapeDtypeStruct((1, 1, 6), jnp.float32))
  np.testing.assert_array_equal(params["scale"], np.full((1, 1, 6), 2.0))


def test_learned_errors():
  with pytest.raises(
    ValueError, match="`axes` of scale 'learned'.*Did you mean 'channel'"
  ):
    parse("ste|learned(axes='chanel')", "weight")
  with pytest.raises(ValueError, match="give a number"):
    parse("ste|learned", "act").init(jax.ShapeDtypeStruct((1, 6), jnp.float32))


def test_learned_starts_at_uniform_numbers():
  made = parse("ste|learned(init='uniform')", "weight")
  w = jnp.zeros((4, 1000))
  first, again, other = (
    made.init(w, jax.random.key(seed))[0]["scale"] for seed in (1, 1, 2)
  )
  assert first.shape == (1, 1000)
  np.testing.assert_array_equal(first, again)
  assert np.any(first != other)
  assert first.min() >= 0
  assert 0.98 < first.max() < 1
  # Four standard errors, 1 / sqrt(12 n) each.
  np.testing.assert_allclose(first.mean(), 0.5, atol=0.037)
