"""AQT's grids and its calibrated bound, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core.progress import Mode
from bnnjax.core.spec import parse


@pytest.mark.parametrize(
  ("spec", "values", "slope"),
  [
    # Steps of 3 / 3: -3 .. 3, half the gradient exactly on the bound.
    ("symmetric(bits=3)|fixed(value=3.0)", [-3, -1, 0, 2, 3], [0, 1, 1, 1, 0]),
    # Steps of 4 / 4: the first and the last bin have half the gradient.
    ("unsigned(bits=2)|fixed(value=4.0)", [0, 0, 0, 1, 3], [0, 0, 0.5, 1, 0.5]),
  ],
)
def test_grids(spec, values, slope):
  x = jnp.array([-4.0, -1.2, 0.3, 1.6, 3.5])
  y, vjp = jax.vjp(parse(spec, "act"), x)
  np.testing.assert_allclose(y, values, rtol=1e-5)
  np.testing.assert_array_equal(vjp(jnp.ones(5))[0], slope)


def test_the_bound_follows_extremes_until_it_is_frozen():
  made = parse("symmetric(bits=4)|ema_bound(rate=0.5)", "act")
  params, stats = made.init(jax.ShapeDtypeStruct((1, 2), jnp.float32))
  x = jnp.array([[0.0, 2.0], [0.0, -4.0]])
  quantized, stats = made.apply(x, params, stats, Mode.training())
  np.testing.assert_array_equal(quantized.dequantize(), x)  # float until then
  np.testing.assert_array_equal(stats["max"], [[0, 1]])  # 0 + 0.5 (2 - 0)
  np.testing.assert_array_equal(stats["min"], [[0, -2]])
  frozen = made.scale.events["freeze_bounds"](stats)
  np.testing.assert_array_equal(frozen["bound"], [[0, 2]])
  quantized, _ = made.apply(x, params, frozen, Mode.training())
  np.testing.assert_allclose(quantized.dequantize(), [[0, 2], [0, -2]], 1e-5)
