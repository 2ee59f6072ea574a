"""Which scales leave a contraction, and to which operand others move."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core.bilinear import Conv, Dot, Einsum

ONES = (1, 1)


def shape_of(factor):
  return None if factor is None else factor.shape


@pytest.mark.parametrize(
  ("scale", "leaves", "moves"),
  [
    ((), (), None),
    ((2, 3, 1), (2, 3, 1), None),  # per row: on the output
    ((1, 1, 4), None, (4, 1)),  # per input: to the rows of the kernel
    ((2, 3, 4), None, None),
  ],
)
def test_left_scale_of_a_dot(scale, leaves, moves):
  scale = np.ones(scale)
  assert shape_of(Dot().a_factor(scale, None)) == leaves
  if leaves is None:
    assert shape_of(Dot().to_w(scale, None)) == moves


@pytest.mark.parametrize(
  ("scale", "leaves", "moves"),
  [((1, 5), (5,), None), ((4, 1), None, (4,)), ((4, 5), None, None)],
)
def test_right_scale_of_a_dot(scale, leaves, moves):
  scale = np.ones(scale)
  assert shape_of(Dot().w_factor(scale, None)) == leaves
  if leaves is None:
    assert shape_of(Dot().to_a(scale, None)) == moves


def test_scales_of_a_convolution():
  for groups, moved in ((1, (4, 1)), (2, None)):
    op = Conv(ONES, "SAME", ONES, groups)
    assert shape_of(op.a_factor(np.ones((2, 1, 1, 1)), None)) == (2, 1, 1, 1)
    assert op.a_factor(np.ones((1, 1, 1, 4)), None) is None
    assert shape_of(op.to_w(np.ones((1, 1, 1, 4)), None)) == moved
    assert shape_of(op.w_factor(np.ones((1, 1, 1, 6)), None)) == (6,)
    assert op.gives_last == (groups == 1)


def test_scales_of_an_einsum():
  op = Einsum("bqhd", "bkhd", "bhqk")
  heads = np.arange(3.0).reshape(3, 1)  # over "hd": one per head
  np.testing.assert_array_equal(
    op.a_factor(heads, None), np.arange(3.0).reshape(1, 3, 1, 1)
  )
  features = np.arange(4.0)
  assert op.w_factor(features, None) is None  # "d" is summed
  assert shape_of(op.to_a(features, None)) == (1, 1, 1, 4)
  assert not op.gives_last
  assert Einsum("ij", "jk", "ik").gives_last
  assert not Einsum("ij", "kk", "ik").gives_last


def test_a_diagonal_keeps_its_values():
  a = jnp.arange(12.0).reshape(2, 3, 2)
  got = Einsum("iji", "", "ij")(a, jnp.float32(1))
  np.testing.assert_array_equal(got, [[0, 2, 4], [7, 9, 11]])


@pytest.mark.parametrize("groups", [1, 2])
def test_cropping_and_the_kernel_cotangent(groups):
  """Padding -1 drops an input: y[o] = sum_k x[o + k + 1] w[k]."""
  x = jnp.arange(1.0, 11.0).reshape(1, 5, 2)
  op = Conv((1,), ((-1, 0),), (1,), groups)
  w = jnp.ones((2, 2 // groups, 2))
  y, vjp = jax.vjp(lambda w: op(x, w), w)
  assert y.shape == (1, 3, 2)
  rows = np.asarray(x)[0, 1:]  # 3 4 / 5 6 / 7 8 / 9 10
  per_group = rows if groups > 1 else rows.sum(1, keepdims=True)
  np.testing.assert_array_equal(y[0], (per_group[:-1] + per_group[1:]) * [1, 1])
  dw = op.w_cotangent(x, jnp.ones_like(y), w)
  np.testing.assert_array_equal(dw, vjp(jnp.ones_like(y))[0])
  assert dw[0, 0, 0] == 3 + 5 + 7
