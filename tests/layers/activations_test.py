"""Activations by name; those with variables by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.core.progress import DEPLOYED
from bnnjax.layers import activations
from bnnjax.layers.activations import DPReLU, PReLU, RPReLU


@pytest.mark.parametrize(
  ("name", "want"),
  [
    ("identity", [-2, 0, 0.5, 7]),
    ("relu", [0, 0, 0.5, 7]),
    ("relu6", [0, 0, 0.5, 6]),
    ("hardtanh", [-1, 0, 0.5, 1]),
    ("prelu", [-0.5, 0, 0.5, 7]),
    ("rprelu", [-0.5, 0, 0.5, 7]),
  ],
)
def test_values_by_name(name, want):
  x = jnp.array([[-2.0], [0.0], [0.5], [7.0]])
  y = activations.activation(name, 1)(x, DEPLOYED)
  np.testing.assert_array_equal(y[:, 0], want)


def test_all_names_are_tested_and_others_raise():
  names = {"identity", "relu", "relu6", "hardtanh", "prelu", "rprelu"}
  assert activations.ACTIVATIONS.keys() == names
  with pytest.raises(ValueError, match="'rpreluu'. Did you mean 'rprelu'"):
    activations.activation("rpreluu", 4)


def test_dprelu_by_hand():
  """`u = x - bias_x`; its sign chooses the slope; minus `bias_y`."""
  layer = DPReLU(2)
  layer.bias_x[...] = jnp.array([1.0, 0.0])
  layer.bias_y[...] = jnp.array([0.5, 0.0])
  layer.pos_slope[...] = jnp.array([2.0, 1.0])
  x = jnp.array([[1.0, 3.0], [3.0, 0.0], [-1.0, -4.0]])
  want = [[-0.5, 3], [3.5, 0], [-1, -1]]
  np.testing.assert_array_equal(layer(x, DEPLOYED), want)
  assert DPReLU(2, dtype=jnp.bfloat16)(x).dtype == jnp.bfloat16


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
