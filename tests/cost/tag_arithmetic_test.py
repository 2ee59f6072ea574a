"""Which operations keep a tag, and what is said when one is lost."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core.bits import tag
from bnnjax.cost import count

X = jax.ShapeDtypeStruct((4, 6), jnp.float32)
W = jax.ShapeDtypeStruct((6, 8), jnp.float32)

KEEPS = {
  "negate": lambda x: -x,
  "scale": lambda x: 0.25 * x / 3,
  "zero point": lambda x: x - 0.5,
  "affine": lambda x: 0.5 * (x + 1),
  "jit": jax.jit(lambda x: x * 2),
  "vmap": jax.vmap(lambda x: x * 2),
}

LOSES = {
  "real tensor": lambda x: x * jnp.arange(24.0).reshape(4, 6),
  "residual": lambda x: x + jnp.arange(24.0).reshape(4, 6),
  "exp": jnp.exp,
  "cumsum": lambda x: jnp.cumsum(x, axis=0),
  "select beside zero": lambda x: jnp.where(x > 0, x, 0.0),
  "divisor": lambda x: 1 / x,
}


@pytest.mark.parametrize("name", KEEPS)
def test_keeps_the_tag(name):
  report = count(lambda x, w: KEEPS[name](tag(x, 1)) @ w, X, W)
  assert set(report.macs) == {(32, 1)}, name
  assert not report.warnings


@pytest.mark.parametrize("name", LOSES)
def test_loses_the_tag_and_says_where(name):
  report = count(lambda x, w: LOSES[name](tag(x, 1)) @ w, X, W)
  assert set(report.macs) == {(32, 32)}
  assert "1-bit tag lost" in report.warnings[0]
  assert "Tag the value again" in report.warnings[0]


def _norm(x):
  x = x - x.mean(-1, keepdims=True)
  return x / jnp.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)


BY_DESIGN = {
  "norm of an embedding sum": lambda x, y: _norm(LOSES["residual"](x)),
  "residual stream": lambda x, y: LOSES["residual"](x) + y,
  "gate": lambda x, y: LOSES["real tensor"](x) * y,
  "activation": lambda x, y: jnp.tanh(LOSES["residual"](x)),
}


@pytest.mark.parametrize("name", BY_DESIGN)
def test_a_layer_that_is_float_by_design_says_nothing(name):
  def net(x, y, w):
    return BY_DESIGN[name](tag(x, 1), y) @ w

  report = count(net, X, X, W)
  assert set(report.macs) == {(32, 32)}
  assert not report.warnings


def test_products_and_sums_of_tags():
  args = X, X, W
  one = count(lambda x, y, w: (tag(x, 1) * tag(y, 1)) @ w, *args)
  assert set(one.macs) == {(32, 1)}
  wide = count(lambda x, y, w: (tag(x, 2) * tag(y, 4)) @ w, *args)
  assert set(wide.macs) == {(32, 6)}
  bases = count(lambda x, y, w: (tag(x, 1) + 0.5 * tag(y, 1)) @ w, *args)
  assert bases.macs == {(32, 1): 2 * 4 * 6 * 8}


def test_a_shift_along_the_contracted_axis_makes_a_real_operand():
  shifts = jax.ShapeDtypeStruct((6,), jnp.float32)
  report = count(lambda x, w, b: (tag(x, 1) + b) @ w, X, W, shifts)
  assert set(report.macs) == {(32, 32)}
  assert "float summand varies along the contracted axis" in report.warnings[0]


def test_a_per_token_zero_point_keeps_the_bits():
  zero = jax.ShapeDtypeStruct((4, 1), jnp.float32)
  report = count(lambda x, w, z: (tag(x, 4) - z) @ w, X, W, zero)
  assert set(report.macs) == {(32, 4)}


def test_tags_do_not_change_numbers():
  x = jnp.linspace(-1, 1, 24).reshape(4, 6)
  w = jnp.ones((6, 8))

  def net(x, w, q):
    return ((q(x) * 0.5 + 1) @ q(w)).sum()

  with_tags = jax.grad(lambda x: net(x, w, lambda v: tag(v, 1)))(x)
  without = jax.grad(lambda x: net(x, w, lambda v: v))(x)
  np.testing.assert_array_equal(with_tags, without)
