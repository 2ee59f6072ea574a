"""Transforms of latent tensors, with and without variables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core import registry
from bnnjax.core.progress import DEPLOYED, Mode
from bnnjax.core.spec import parse

X = jax.random.normal(jax.random.key(0), (6, 5, 4))
# Of the suite: heads, for those that want them, and as many features as the
# code of `ksh` has bits.
HEADS = jax.random.normal(jax.random.key(1), (2, 5, 3, 16))
NAMES = registry.registered("transform")


def variables(made, x):
  return made.init(x) if made.init else ({}, {})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_shape_dtype_and_gradient(name, dtype):
  made, x = registry.get("transform", name), HEADS.astype(dtype)
  params, stats = variables(made, x)
  for mode in (DEPLOYED, Mode.training()):
    apply = lambda x, p: made.apply(x, p, stats, mode)[0]  # noqa: B023, E731
    y, vjp = jax.vjp(apply, x, params)
    assert y.shape == x.shape
    assert y.dtype == dtype
    assert all(np.all(np.isfinite(g)) for g in jax.tree.leaves(vjp(y)))


@pytest.mark.parametrize("name", NAMES)
def test_zeros_stay_finite(name):
  made, x = registry.get("transform", name), jnp.zeros((1, 3, 2, 16))
  apply = lambda x: made.apply(x, *variables(made, x), Mode.training())[0]  # noqa: E731
  y, vjp = jax.vjp(apply, x)
  assert np.all(np.isfinite(y))
  assert np.all(np.isfinite(vjp(jnp.ones_like(y))[0]))


def test_standardize_by_hand():
  y = np.asarray(registry.get("transform", "standardize")(X, gain=2.0, eps=0.0))
  np.testing.assert_allclose(y.mean((0, 1)), 0, atol=1e-6)
  np.testing.assert_allclose(y.std((0, 1), ddof=1), 2, rtol=1e-5)


def test_normalizations_of_activations_leave_the_deployed_network():
  for name, axes in (("example_std", (1, 2)), ("token_std", (2,))):
    made = registry.get("transform", name)
    np.testing.assert_array_equal(made(X), X)
    y, _ = made.apply(X, mode=Mode.training(), eps=0.0)
    std = np.std(X, axis=axes, ddof=1, keepdims=True)
    np.testing.assert_allclose(y, X / std, rtol=1e-5)


def test_shift_trains_with_the_gradient_of_its_input():
  made = parse("shift > ste", "act")
  params, stats = made.init(jax.ShapeDtypeStruct((1, 1, 4), jnp.float32))
  assert params["shift"].shape == (1, 1, 4)
  apply = lambda x, p: made.apply(x, p, stats)[0].dequantize()  # noqa: E731
  y, vjp = jax.vjp(apply, X, params)
  dx, dp = vjp(jnp.ones_like(y))
  np.testing.assert_allclose(dp["shift"], dx.sum((0, 1), keepdims=True))
  np.testing.assert_array_equal(
    apply(X, {"shift": params["shift"] + 9}), jnp.ones_like(X)
  )


def test_parts_share_one_set_of_variables():
  made = parse("shift > ste|learned(init=2.0)", "act")
  params, _ = made.init(jax.ShapeDtypeStruct((1, 4), jnp.float32))
  assert params.keys() == {"shift", "scale"}


def test_a_learned_scale_starts_from_the_transformed_tensor():
  params, _ = parse("standardize > ste|learned", "weight").init(9 * X)
  np.testing.assert_allclose(params["scale"].ravel(), 0.8, atol=0.15)
