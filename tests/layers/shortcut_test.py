"""Shortcuts of any shape, and what joins them to a branch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.layers import shortcut as shortcut_lib
from bnnjax.layers.activations import Function
from bnnjax.layers.blocks import LayerDefaults, Unit
from bnnjax.layers.shortcut import reshape_add
from tests import golden_cases

FLOAT = LayerDefaults(None, None)
LAYERS = "pokebnn_layers.npz"
X = jax.random.normal(jax.random.key(0), (2, 6, 6, 4))


@pytest.mark.parametrize("kind", shortcut_lib.SHORTCUTS)
def test_shortcuts_reach_any_shape(kind, rngs):
  """Odd sizes too: pool and strided convolution round up alike."""
  for size, strides in ((6, 2), (7, 2), (7, 1)):
    around = shortcut_lib.shortcut(
      kind, 4, 8, strides, defaults=FLOAT, rngs=rngs
    )
    x = jnp.ones((1, size, size, 4))
    y = jax.eval_shape(around, x)
    half = -(-size // strides)
    assert y.shape == (1, half, half, 8)


def test_shortcut_without_change_is_the_identity(rngs):
  around = shortcut_lib.shortcut("conv", 4, 4, 1, defaults=FLOAT, rngs=rngs)
  np.testing.assert_array_equal(around(X), X)
  pooled = shortcut_lib.shortcut(
    "pool_conv", 4, 4, 2, defaults=FLOAT, rngs=rngs
  )
  want = X.reshape(2, 3, 2, 3, 2, 4).mean(axis=(2, 4))
  np.testing.assert_allclose(pooled(X), want, atol=1e-6)


def test_pad_shortcut_has_no_parameters(rngs):
  around = shortcut_lib.shortcut("pad", 4, 7, 2, defaults=FLOAT, rngs=rngs)
  y = around(X)
  np.testing.assert_array_equal(y[..., 1:5], X[:, ::2, ::2])
  np.testing.assert_array_equal(y[..., 5:], 0)
  assert not jax.tree.leaves(nnx.state(around, nnx.Param))


def test_pooled_pad_shortcut_takes_means(rngs):
  kind = "pool_pad"
  around = shortcut_lib.shortcut(kind, 4, 8, 2, defaults=FLOAT, rngs=rngs)
  want = X.reshape(2, 3, 2, 3, 2, 4).mean(axis=(2, 4))
  y = around(X)
  np.testing.assert_allclose(y[..., 2:6], want, atol=1e-6)
  np.testing.assert_array_equal(y[..., [0, 1, 6, 7]], 0)


def test_concat_adds_channels(rngs):
  join = shortcut_lib.Concat(
    Unit("norm conv", 4, 3, defaults=LayerDefaults(), rngs=rngs)
  )
  y = join(X)
  assert y.shape == (2, 6, 6, 7)
  np.testing.assert_array_equal(y[..., :4], X)


def test_residual_adds_the_shortcut_before_the_activation():
  double, negative = Function(lambda x: 2 * x), Function(lambda x: -5 * x)
  block = shortcut_lib.Residual([double, double], negative, Function(abs))
  np.testing.assert_array_equal(block(jnp.array([1.0, -2.0])), [1, 2])


def test_unknown_shortcut(rngs):
  with pytest.raises(ValueError, match="'conf'. Did you mean 'conv'"):
    shortcut_lib.shortcut("conf", 4, 8, 2, defaults=FLOAT, rngs=rngs)


@golden_cases.parametrize(LAYERS, "reshape_add")
def test_reshape_add(case):
  tile = bool(case.hyper("tile"))
  r, yy, gy = (jnp.asarray(case[k]) for k in ("r", "yy", "gy"))
  y, vjp = jax.vjp(lambda r, y: reshape_add(r, y, tile=tile), r, yy)
  dr, dyy = vjp(gy)
  golden_cases.check(y, case["y"], 1e-4, "y")
  for name, got in (("dr", dr), ("dyy", dyy)):
    if name in case:
      golden_cases.check(got, case[name], 1e-4, name)


def test_reshape_add_says_what_does_not_fit():
  y = jnp.zeros((1, 8, 8, 9))
  with pytest.raises(ValueError, match="tiles 4 channels, which cannot fill 9"):
    reshape_add(jnp.zeros((1, 8, 8, 4)), y, tile=True)
  with pytest.raises(ValueError, match="the same size or half of it"):
    reshape_add(jnp.zeros((1, 32, 32, 9)), y)
