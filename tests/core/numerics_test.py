"""Floats, divisors that are not 0, and the guard that passes NaN on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core.numerics import as_float, divisor, pass_nan, sign
from bnnjax.cost import count

X = jnp.array([[jnp.nan, -2.0, 0.0], [jnp.inf, jnp.nan, -jnp.inf]])
WANT = np.array([[np.nan, 0, 1], [1, np.nan, 0]], np.float32)


def step(x):
  return pass_nan((x >= 0).astype(x.dtype), x)


@pytest.mark.parametrize(
  "run",
  [
    step,
    jax.jit(step),
    jax.vmap(step),
    jax.vmap(step, in_axes=1, out_axes=1),
    lambda x: jax.lax.map(step, x),
    lambda x: jax.checkpoint(step)(x),
  ],
)
def test_what_is_no_number_stays_none(run):
  np.testing.assert_array_equal(run(X), WANT)
  assert run(X.astype(jnp.bfloat16)).dtype == jnp.bfloat16


def test_one_of_two_operands_in_a_batch():
  value = jnp.ones((3,))
  got = jax.vmap(pass_nan, in_axes=(None, 0))(value, X)
  np.testing.assert_array_equal(np.isnan(got), np.isnan(X))


def test_gradient_is_that_of_the_value():
  f = lambda x: pass_nan(3 * x, x).sum()  # noqa: E731
  np.testing.assert_array_equal(jax.grad(f)(X), 3 * np.ones((2, 3)))
  got = jax.jvp(lambda x: pass_nan(x * x, x), (X,), (jnp.ones_like(X),))[1]
  np.testing.assert_array_equal(got, 2 * np.asarray(X))


def test_it_is_no_work_of_the_network():
  x = jax.ShapeDtypeStruct((2, 3), jnp.float32)
  report = count(step, x)
  assert report.elementwise == {"ge": 6}
  assert (
    report.activation_bytes() == count(lambda x: x * 2, x).activation_bytes()
  )


def test_another_shape_or_type_is_refused():
  with pytest.raises(ValueError, match=r"got float32\[3\] for float32\[2, 3\]"):
    pass_nan(jnp.ones(3), X)
  with pytest.raises(ValueError, match="a value for each number"):
    pass_nan(jnp.ones((2, 3), jnp.bfloat16), X)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_a_divisor_is_never_zero(dtype):
  scale = jnp.array([0.0, -0.0, 2.0, -3.0], dtype)
  got = divisor(scale)
  tiny = jnp.finfo(dtype).tiny
  assert got.dtype == dtype
  np.testing.assert_array_equal(got, jnp.array([tiny, tiny, 2, -3], dtype))
  np.testing.assert_array_equal(0 / got, [0, 0, 0, 0])


def test_numbers_stay_numbers():
  assert divisor(2.0) == 2.0
  assert divisor(0.0) == float(np.finfo(np.float32).tiny)


def test_integers_become_floats_and_complex_numbers_are_refused():
  assert as_float(jnp.array([1, 2])).dtype == jnp.float32
  assert as_float(jnp.array([True])).dtype == jnp.float32
  assert as_float(jnp.ones(1, jnp.bfloat16)).dtype == jnp.bfloat16
  with pytest.raises(TypeError, match="Real numbers .* complex64"):
    as_float(jnp.array([1j]))


@pytest.mark.parametrize(("at_zero", "want"), [(1, 1), (0, 0), (-1, -1)])
def test_value_at_zero(at_zero, want):
  got = sign(jnp.array([0.0, -0.0, -1.0, 1.0]), at_zero)
  np.testing.assert_array_equal(got, [want, want, -1, 1])


def test_value_at_zero_is_one_of_three():
  with pytest.raises(ValueError, match=r"must be \+1, -1 or 0, got 2"):
    sign(jnp.zeros(1), 2)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("at_zero", [1, 0, -1])
def test_sign_of_what_is_not_a_number(dtype, at_zero):
  x = jnp.array([jnp.nan, jnp.inf, -jnp.inf, 1e-40, -1e-40, 3.0], dtype)
  got = sign(x, at_zero)
  assert got.dtype == dtype
  assert np.isnan(got[0])
  np.testing.assert_array_equal(got[1:3], [1, -1])
  if at_zero == 1:  # what is packed: subnormal numbers count as 0 here
    np.testing.assert_array_equal(got[1:] > 0, x[1:] >= 0)


def test_sign_of_integers():
  for at_zero in (1, 0, -1):
    got = sign(jnp.array([-7, 0, 5]), at_zero)
    assert got.dtype == jnp.int32
    np.testing.assert_array_equal(got, [-1, at_zero, 1])
