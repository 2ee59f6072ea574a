"""MACs of dots and convolutions against a second derivation."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from bnnjax.core.bits import BitTag, tag
from bnnjax.cost import count

F32 = jnp.float32


def shape(*dims, dtype=F32):
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


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("stride", [1, 2, 3])
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


def test_dtype_widths():
  report = count(
    lambda a, b: lax.dot(a, b, preferred_element_type=jnp.int32),
    shape(2, 3, dtype=jnp.int8),
    shape(3, 4, dtype=jnp.int8),
  )
  assert report.macs == {(8, 8): 24}
  half = count(
    lambda a, b: a @ b,
    shape(2, 3, dtype=jnp.bfloat16),
    shape(3, 4, dtype=jnp.bfloat16),
  )
  assert half.macs == {(16, 16): 24}


def test_roles_decide_the_side_and_position_is_the_default():
  x, w = shape(2, 8), shape(8, 4)
  right = count(lambda x, w: tag(x, 8) @ tag(w, 4), x, w)
  assert right.macs == {(4, 8): 64}
  left = count(
    lambda x, w: tag(w, 4, role="weight").T @ tag(x, 8, role="act").T, x, w
  )
  assert left.macs == {(4, 8): 64}
  one_named = count(lambda x, w: w.T @ tag(x, 8, role="act").T, x, w)
  assert one_named.macs == {(32, 8): 64}


def test_parameters_take_the_weights_place_without_roles():
  report = count(
    lambda w, x: tag(w, 2) @ tag(x, 8), shape(4, 8), shape(8, 2), params=0
  )
  assert report.macs == {(2, 8): 64}
  assert report.rows[0].has_weight


def test_terms_are_counted_one_by_one():
  # Two residual bases against one 4-bit activation.
  report = count(
    lambda x, w: tag(x, 4) @ tag(w, [1, BitTag(2)]), shape(3, 8), shape(8, 5)
  )
  assert report.macs == {(1, 4): 120, (2, 4): 120}
  assert report.ace == 120 * 4 + 120 * 8


def test_density_divides_the_macs():
  # 2:4 sparsity.
  report = count(
    lambda x, w: x @ tag(w, 1, density=0.5), shape(3, 8), shape(8, 5)
  )
  assert report.macs == {(1, 32): 60}


def test_scale_along_the_output_leaves_the_dot():
  report = count(
    lambda x, w, s: tag(x, 1) @ (tag(w, 1) * s),
    shape(3, 8),
    shape(8, 5),
    shape(5),
  )
  assert report.macs == {(1, 1): 120}
  assert not report.warnings


def test_scale_along_the_contracted_axis_moves_to_the_other_operand():
  def net(x, w, s):
    return tag(x, 1, role="act") @ (tag(w, 1, role="weight") * s[:, None])

  report = count(net, shape(3, 8), shape(8, 5), shape(8))
  assert report.macs == {(1, 32): 120}
  (warning,) = report.warnings
  assert "cannot leave the sum" in warning
  assert "counted as 32-bit, not 1-bit" in warning


def test_scale_moves_to_a_float_operand_for_free():
  # FBI-Linear: one scale per input feature, float activations.
  report = count(
    lambda x, w, s: x @ (tag(w, 1) * s[:, None]),
    shape(3, 8),
    shape(8, 5),
    shape(8),
  )
  assert report.macs == {(1, 32): 120}
  assert not report.warnings


def test_two_scales_along_the_contracted_axis_cost_one_operand():
  def net(x, w, s, t):
    return (tag(x, 1, role="act") * s) @ (tag(w, 1) * t[:, None])

  report = count(net, shape(3, 8), shape(8, 5), shape(8), shape(8))
  assert report.macs == {(1, 32): 120}


def test_per_token_scale_leaves_and_per_channel_scale_does_not():
  x, w = shape(3, 8), shape(8, 5)
  token = count(
    lambda x, w, s: (tag(x, 1, role="act") * s) @ tag(w, 1), x, w, shape(3, 1)
  )
  assert token.macs == {(1, 1): 120}
  channel = count(
    lambda x, w, s: (tag(x, 1, role="act") * s) @ tag(w, 1), x, w, shape(8)
  )
  assert (1, 1) not in channel.macs


@pytest.mark.parametrize("how", ["reshape", "repeat"])
def test_group_wise_scales_need_a_declared_group(how):
  def scaled(w, s):
    if how == "repeat":
      return w * jnp.repeat(s, 4, axis=0)
    return (w.reshape(2, 4, 5) * s[:, None]).reshape(8, 5)

  def net(x, w, s, group):
    return tag(x, 1, role="act") @ scaled(tag(w, 1, group=group), s)

  args = shape(3, 8), shape(8, 5), shape(2, 5)
  declared = count(net, *args, 4)
  assert declared.macs == {(1, 1): 120}
  assert "per group of 4" in declared.notes[0]
  assert count(net, *args, 0).macs == {(1, 32): 120}
  # Scales of 4 satisfy groups of 2, not groups of 8.
  assert count(net, *args, 2).macs == {(1, 1): 120}
  assert count(net, *args, 8).macs == {(1, 32): 120}


def test_depthwise_channel_scale_leaves_the_convolution():
  def net(x, k, s):
    return conv(tag(x, 1) * s, tag(k, 1), feature_group_count=4)

  args = shape(1, 5, 5, 4), shape(3, 3, 1, 4), shape(4)
  assert count(net, *args).macs == {(1, 1): 25 * 9 * 4}

  def full(x, k, s):
    return conv(tag(x, 1, role="act") * s, tag(k, 1))

  full_args = shape(1, 5, 5, 4), shape(3, 3, 4, 4), shape(4)
  assert (1, 1) not in count(full, *full_args).macs


def test_pixel_scale_leaves_a_1x1_convolution_only():
  def net(x, k, s):
    return conv(tag(x, 1, role="act") * s, tag(k, 1))

  x, s = shape(1, 5, 5, 4), shape(1, 5, 5, 1)
  assert (1, 1) in count(net, x, shape(1, 1, 4, 4), s).macs
  assert (1, 1) not in count(net, x, shape(3, 3, 4, 4), s).macs


def test_row_of_an_empty_dot():
  report = count(lambda a, b: a @ b, shape(2, 0), shape(0, 3))
  assert report.total_macs == 0
  assert np.isfinite(report.bit_operations_uniq)
