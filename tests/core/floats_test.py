import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core.floats import as_float, divisor


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
