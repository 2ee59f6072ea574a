import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core import registry
from bnnjax.core.estimator import estimator


@pytest.fixture(autouse=True)
def forget():
  with registry.restored():
    yield


@pytest.fixture
def triangle():
  @estimator()
  def triangle(x, *, width=1.0):
    """A triangular surrogate."""
    return jnp.maximum(0, 1 - jnp.abs(x) / width)

  return triangle


def test_slope_form(triangle):
  x = jnp.array([-2.0, -0.5, 0.0, 1.0])
  y, vjp = jax.vjp(lambda x: triangle(x, width=2.0), x)
  np.testing.assert_array_equal(y, [-1, -1, 1, 1])
  np.testing.assert_allclose(vjp(jnp.full(4, 2.0))[0], [0, 1.5, 2, 1])
  assert registry.get("estimator", "triangle") is triangle


def test_scale_is_applied_forward_and_left_out_backward(triangle):
  x = jnp.array([0.5, -0.5])
  y, vjp = jax.vjp(lambda x: triangle(x, scale=3.0), x)
  np.testing.assert_array_equal(y, [3, -3])
  np.testing.assert_allclose(vjp(jnp.ones(2))[0], [0.5, 0.5])


def test_unknown_hyper_parameter(triangle):
  with pytest.raises(
    ValueError, match="estimator 'triangle' 'widht'. Did you mean 'width'"
  ):
    triangle(jnp.ones(1), widht=1.0)


def test_hyper_parameter_without_a_default():
  with pytest.raises(
    TypeError, match=r"'width' of estimator 'bad' needs a default"
  ):

    @estimator()
    def bad(x, *, width):
      return x


def test_decorator_without_parentheses():
  @estimator
  def bare(x):
    return jnp.ones_like(x)

  assert registry.get("estimator", "bare") is bare


def test_signature_that_cannot_be_meant():
  for wrong in (lambda: 1, lambda x, width=1.0: x):
    with pytest.raises(
      TypeError, match=r"takes the tensor, and hyper-parameters"
    ):
      estimator("wrong")(wrong)


def test_full_rule():
  @estimator(full_rule=True)
  def squared(x, scale, dy, *, factor=2.0):
    """dx = factor * scale * dy^2."""
    return factor * scale * dy**2

  grad = jax.grad(lambda x: (3 * squared(x, scale=0.5)).sum())(jnp.ones(2))
  np.testing.assert_allclose(grad, [9, 9])


def test_a_formula_cannot_hide_what_is_not_a_number():
  @estimator(alphabet=(0, 1), forward=lambda x: jnp.where(x > 0, 1.0, 0.0))
  def hiding(x):
    """Compares."""
    return jnp.ones_like(x)

  x = jnp.array([jnp.nan, jnp.inf, -jnp.inf])
  np.testing.assert_array_equal(hiding(x), [np.nan, 1, 0])


def test_unscaled_value_with_the_slope_of_the_scale():
  elastic = registry.get("estimator", "elastic")
  x = jnp.array([0.1, 0.5])
  y, vjp = jax.vjp(lambda x: elastic(x, scale=0.3, scaled=False), x)
  np.testing.assert_array_equal(y, [1, 1])
  np.testing.assert_array_equal(vjp(jnp.ones(2))[0], [1, 0])


def test_what_formulas_take_is_declared():
  takes = registry.get("estimator", "elastic_cut")
  assert takes.forward_takes == takes.scale_slope_takes == {"x", "scale"}
  assert registry.get("estimator", "fda").forward_takes == {
    "x", "params", "alpha", "along", "at_zero"
  }  # fmt: skip
  assert "scale" not in registry.get("estimator", "ste").slope_takes
