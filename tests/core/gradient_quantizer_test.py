import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core import registry
from bnnjax.core.gradient_quantizer import gradient, parse


def test_the_cotangent_is_quantized_and_nothing_else():
  with registry.restored():

    @gradient
    def floored(dy, key, *, step=1.0):
      """Rounds down to a multiple of `step`."""
      del key
      return jnp.floor(dy / step) * step

    quantize, key = parse("floored(step=2.0)"), jax.random.key(0)
    y, vjp = jax.vjp(lambda x: quantize(x, key), jnp.array([0.5, -0.25]))
    np.testing.assert_array_equal(y, [0.5, -0.25])
    np.testing.assert_array_equal(vjp(jnp.array([3.0, -1.0]))[0], [2, -2])


def test_specs():
  assert parse(None) is None
  assert dict(parse("dorefa_grad(bits=4)").hp) == {"bits": 4}
  with pytest.raises(ValueError, match="Did you mean 'dorefa_grad'"):
    parse("dorefa_gard")
  with pytest.raises(ValueError, match="`bits` of grad 'dorefa_grad' must be"):
    parse("dorefa_grad(bits=0)")
