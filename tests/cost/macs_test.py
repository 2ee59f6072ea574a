"""MACs of dots and convolutions against a second derivation."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from bnnjax.cost import count


def shape(*dims, dtype="float32"):
  return jax.ShapeDtypeStruct(dims, dtype)


def conv(x, k, strides=(1, 1), padding="SAME", **kw):
  return lax.conv_general_dilated(
    x, k, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"), **kw
  )


@pytest.mark.parametrize(
  ("strides", "padding", "groups"),
  [
    ((1, 1), "SAME", 1),
    ((2, 2), "SAME", 1),
    ((4, 3), "VALID", 2),
    ((1, 2), "SAME", 4),
    ((1, 1), ((2, 0), (1, 3)), 1),
  ],
)
def test_conv_macs_are_outputs_times_products(strides, padding, groups):
  x, k = shape(2, 9, 7, 4), shape(3, 2, 4 // groups, 8)
  kw = dict(strides=strides, padding=padding, feature_group_count=groups)
  out = jax.eval_shape(lambda x, k: conv(x, k, **kw), x, k).shape
  report = count(lambda x, k: conv(x, k, **kw), x, k)
  # Padding is work, but an input of an axis meets every tap once at most.
  spatial = [min(o * k, n * k) for o, n, k in zip(out[1:3], (9, 7), (3, 2))]
  macs = out[0] * math.prod(spatial) * (4 // groups) * out[3]
  assert report.macs == {(32, 32): macs}
  assert report.rows[0].op == "conv"


def test_conv_in_one_and_three_dimensions():
  one = count(
    lambda x, k: lax.conv_general_dilated(x, k, (2,), "SAME"),
    shape(1, 3, 10),
    shape(6, 3, 5),
  )
  assert one.total_macs == 5 * 6 * 3 * 5
  three = count(
    lambda x, k: lax.conv_general_dilated(x, k, (1, 1, 1), "VALID"),
    shape(1, 3, 4, 4, 4),
    shape(2, 3, 3, 3, 3),
  )
  assert three.total_macs == 2 * 2 * 2 * 2 * 3 * 27


def test_batch_groups():
  report = count(
    lambda x, k: conv(x, k, batch_group_count=2),
    shape(4, 5, 5, 3),
    shape(3, 3, 3, 6),
  )
  assert report.total_macs == 2 * 5 * 5 * 6 * 3 * 9


# All combinations are in `enumerated_test`, on an axis each.
@pytest.mark.parametrize(
  ("size", "stride", "padding"),
  [
    (8, 1, "SAME"),
    (7, 2, "SAME"),
    (8, 3, "SAME"),
    (7, 1, "VALID"),
    (8, 2, "VALID"),
  ],
)
def test_gradients_of_a_convolution_cost_what_it_costs(size, stride, padding):
  # The input gradient is a transposed convolution, the kernel gradient one
  # with a dilated kernel: each costs what the forward pass costs.
  x, k = shape(1, size, size, 3), shape(3, 3, 3, 4)

  def loss(x, k):
    return conv(x, k, (stride, stride), padding).sum()

  out = -(-size // stride) if padding == "SAME" else (size - 3) // stride + 1
  assert count(loss, x, k).total_macs == out * out * 9 * 3 * 4
  # The gradients of a sum need no forward pass.
  for argnums, passes in ((0, 1), (1, 1), ((0, 1), 2)):
    gradient = count(jax.grad(loss, argnums=argnums), x, k)
    assert gradient.total_macs == passes * out * out * 9 * 3 * 4


def test_transposed_convolution_does_not_count_inserted_zeros():
  x, k = shape(1, 4, 4, 2), shape(2, 2, 2, 3)
  report = count(
    lambda x, k: lax.conv_transpose(x, k, (2, 2), "SAME"), x, k
  )  # [1, 8, 8, 3], each output meets one tap
  assert report.total_macs == 8 * 8 * 1 * 2 * 3


def test_dot_with_batch_axes():
  report = count(
    lambda q, k: jnp.einsum("bhtd,bhsd->bhts", q, k),
    shape(2, 3, 5, 7),
    shape(2, 3, 11, 7),
  )
  assert report.total_macs == 2 * 3 * 5 * 11 * 7
  assert report.rows[0].length == 7


def test_row_of_an_empty_dot():
  report = count(lambda a, b: a @ b, shape(2, 0), shape(0, 3))
  assert report.total_macs == 0
  assert np.isfinite(report.bit_operations_uniq)
