"""Diagnostics by hand; the indicators of ReSTE are also in its golden test."""

import jax
import jax.numpy as jnp
import numpy as np

from bnnjax.core import diagnostics


def test_flip_ratio():
  before = jnp.array([[1.0, -1.0], [0.0, 2.0]])
  after = jnp.array([[-1.0, -2.0], [0.5, -0.1]])
  assert diagnostics.flip_ratio(before, after) == 0.5
  assert diagnostics.flip_ratio(before, before) == 0


def test_sign_balance_is_per_output_channel():
  w = jnp.array([[1.0, -1.0, 0.0], [2.0, 3.0, -1.0]])
  np.testing.assert_array_equal(diagnostics.sign_balance(w), [1, 0, 0])


def test_estimating_error_falls_as_the_power_grows():
  w = {"a": jnp.array([0.25, -4.0]), "b": jnp.array([1.0, 0.0])}
  want = np.hypot(0.75, 3.0)
  np.testing.assert_allclose(diagnostics.estimating_error(w, 1.0), want)
  errors = [diagnostics.estimating_error(w, o) for o in (1.0, 2.0, 5.0)]
  assert errors == sorted(errors, reverse=True)


def test_gradient_stability_sums_unbiased_variances():
  g = [jnp.array([1.0, -3.0]), jnp.array([[2.0, -2.0]])]
  np.testing.assert_allclose(diagnostics.gradient_stability(g), 2.0)
  alone = [*g, jnp.array([5.0])]  # one element has no variance
  np.testing.assert_allclose(diagnostics.gradient_stability(alone), 2.0)


def test_pure_and_jittable():
  w = jnp.linspace(-1, 1, 12).reshape(3, 4)
  for f in (
    lambda w: diagnostics.flip_ratio(w, -w),
    diagnostics.sign_balance,
    lambda w: diagnostics.estimating_error(w, 2.0),
    diagnostics.gradient_stability,
  ):
    np.testing.assert_allclose(jax.jit(f)(w), f(w), rtol=1e-6)
