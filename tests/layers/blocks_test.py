"""Units, shortcuts and pools of convolutional networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.core.progress import DEPLOYED, Mode
from bnnjax.cost import count
from bnnjax.layers import activations
from bnnjax.layers import shortcut as shortcut_lib
from bnnjax.layers.activations import PReLU, RPReLU
from bnnjax.layers.blocks import LayerDefaults, Unit
from bnnjax.layers.pool import BlurPool, Pool

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


def test_norm_uses_batch_statistics_in_training_only(rngs):
  norm = Unit("norm", 4, 4, defaults=FLOAT, rngs=rngs)
  np.testing.assert_allclose(norm(3 + X), 3 + X, atol=1e-4)
  y = norm(3 + X, Mode.training())
  np.testing.assert_allclose(np.mean(y, axis=(0, 1, 2)), np.zeros(4), atol=1e-5)
  assert float(norm.norm.mean[0]) != 0


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


def test_concat_adds_channels(rngs):
  join = shortcut_lib.Concat(
    Unit("norm conv", 4, 3, defaults=LayerDefaults(), rngs=rngs)
  )
  y = join(X)
  assert y.shape == (2, 6, 6, 7)
  np.testing.assert_array_equal(y[..., :4], X)


def test_average_leaves_padding_out():
  y = Pool("avg", 2, 2)(jnp.ones((1, 5, 5, 1)))
  np.testing.assert_allclose(y, np.ones((1, 3, 3, 1)))


def test_blur_keeps_a_constant_and_is_stored_but_not_trained():
  blur = BlurPool(4)
  y = blur(jnp.ones((1, 8, 8, 4)))
  np.testing.assert_allclose(y[:, :-1, :-1], np.ones((1, 3, 3, 4)))
  assert not jax.tree.leaves(nnx.state(blur, nnx.Param))
  report = count(blur, jax.ShapeDtypeStruct((1, 8, 8, 4), jnp.float32))
  assert report.total_macs == 4 * 4 * 9 * 4
  assert report.parameter_count == 0
  assert report.kernel_count == 9 * 4


def test_rprelu_by_hand():
  """Value and gradients of eq. 5; at 0 the slope of the negative side."""
  layer = RPReLU(3)
  layer.shift_in.bias[...] = jnp.array([1.0, 0.0, -1.0])
  layer.shift_out.bias[...] = jnp.array([0.5, 0.0, 0.0])
  x = jnp.array([[1.0, 0.0, -1.0]])
  y, vjp = jax.vjp(layer, x)
  np.testing.assert_allclose(y, [[2.5, 0.0, -0.5]])
  np.testing.assert_allclose(vjp(jnp.ones_like(x))[0], [[1.0, 0.25, 0.25]])
  graph, params = nnx.split(PReLU(3))
  grads = jax.grad(lambda p: nnx.merge(graph, p)(x).sum())(params)
  np.testing.assert_allclose(grads["slope"][...], [0.0, 0.0, -1.0])


@pytest.mark.parametrize(
  ("build", "message"),
  [
    (
      lambda r: Unit("conv nrom", 4, 8, defaults=FLOAT, rngs=r),
      "Unknown step of a unit 'nrom'. Did you mean 'norm'",
    ),
    (
      lambda r: shortcut_lib.shortcut("conf", 4, 8, 2, defaults=FLOAT, rngs=r),
      "Unknown shortcut 'conf'. Did you mean 'conv'",
    ),
    (
      lambda r: activations.activation("rpreluu", 4),
      "Unknown activation 'rpreluu'. Did you mean 'rprelu'",
    ),
    (
      lambda r: Unit("conv gate", 4, 8, defaults=FLOAT, rngs=r),
      "divides its channels by 8: got only 4",
    ),
    (lambda r: Pool("sum", 2, 2), "Unknown pool 'sum'"),
    (lambda r: Pool("max", 2, 2, "same"), "Unknown padding 'same'"),
  ],
)
def test_errors(build, message, rngs):
  with pytest.raises(ValueError, match=message):
    build(rngs)
