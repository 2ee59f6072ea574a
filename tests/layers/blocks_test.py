"""Units, shortcuts and pools of convolutional networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core.progress import DEPLOYED
from bnnjax.layers.blocks import LayerDefaults, Unit

FLOAT = LayerDefaults(None, None)
X = jax.random.normal(jax.random.key(0), (2, 6, 6, 4))


def test_unit_runs_its_words_in_order(rngs):
  unit = Unit("relu conv", 4, 8, 1, defaults=FLOAT, rngs=rngs)
  kernel = unit.conv.kernel[...][0, 0]
  np.testing.assert_allclose(unit(X), np.maximum(X, 0) @ kernel, atol=1e-5)
  unit = Unit("conv relu", 4, 8, 1, defaults=FLOAT, rngs=rngs)
  kernel = unit.conv.kernel[...][0, 0]
  np.testing.assert_allclose(unit(X), np.maximum(X @ kernel, 0), atol=1e-5)


def test_norms_have_the_channels_of_their_place(rngs):
  unit = Unit("norm conv norm", 4, 8, defaults=LayerDefaults(), rngs=rngs)
  assert unit.norm.scale.shape == (4,)
  assert unit.norm_2.scale.shape == (8,)
  assert unit(X).shape == (2, 6, 6, 8)


def test_gate_reads_the_input_of_the_convolution(rngs):
  unit = Unit("norm conv gate", 16, 8, 1, defaults=FLOAT, rngs=rngs)
  x = jnp.tile(X, (1, 1, 1, 4))
  kernel = unit.conv.kernel[...][0, 0]
  entering = unit.norm(x, DEPLOYED)
  gate = unit.gate
  z = np.mean(entering, axis=(1, 2)) @ gate.reduce.kernel[...]
  z = np.maximum(z, 0) @ gate.expand.kernel[...]
  want = (entering @ kernel) / (1 + np.exp(-z))[:, None, None]
  np.testing.assert_allclose(unit(x), want, atol=1e-5)


@pytest.mark.parametrize(
  ("init", "gain"), [("lecun_normal", 1), ("he_normal", 2)]
)
def test_kernels_have_the_variance_of_their_initializer(init, gain, rngs):
  """`gain / inputs`, within five standard errors of 9,216 numbers."""
  defaults = LayerDefaults(None, None, init=init)
  kernel = Unit("conv", 16, 64, defaults=defaults, rngs=rngs).conv.kernel[...]
  np.testing.assert_allclose(np.var(kernel), gain / 144, rtol=0.074)


def test_errors(rngs):
  with pytest.raises(ValueError, match="Unknown initializer 'he'"):
    Unit("conv", 4, 8, defaults=LayerDefaults(init="he"), rngs=rngs)
  with pytest.raises(ValueError, match="'nrom'. Did you mean 'norm'"):
    Unit("conv nrom", 4, 8, defaults=FLOAT, rngs=rngs)
  with pytest.raises(ValueError, match="divides its channels by 8: got only 4"):
    Unit("conv gate", 4, 8, defaults=FLOAT, rngs=rngs)
