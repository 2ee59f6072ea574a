"""Widths of the operands of a contraction, and where their scales go."""

import jax
import jax.numpy as jnp
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


def test_zero_padding_in_a_convolution_is_ternary():
  def net(x, k, padding):
    return lax.conv_general_dilated(tag(x, 1), tag(k, 1), (1, 1), padding)

  x = jax.ShapeDtypeStruct((1, 2, 5, 5), jnp.float32)
  k = jax.ShapeDtypeStruct((3, 2, 3, 3), jnp.float32)
  same = count(net, x, k, "SAME")
  assert same.macs == {(1, 1): 25 * 9 * 2 * 3}
  assert "ternary" in same.warnings[0]
  assert not count(net, x, k, "VALID").warnings
