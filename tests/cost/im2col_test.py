"""im2col: picks elements, multiplies nothing, keeps the tag."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from bnnjax.core.bits import tag
from bnnjax.cost import count

NHWC = ("NHWC", "HWIO", "NHWC")


def shape(*dims):
  return jax.ShapeDtypeStruct(dims, jnp.float32)


def patches(x, size=(3, 3), strides=(1, 1), padding="VALID", **kw):
  kw.setdefault("dimension_numbers", NHWC)
  return lax.conv_general_dilated_patches(x, size, strides, padding, **kw)


X = shape(1, 6, 6, 8)


def im2col(x, w, scale=None, **kw):
  x = tag(jnp.sign(x), 1, role="act")
  p = patches(x if scale is None else x * scale, **kw)
  return p.reshape(-1, p.shape[-1]) @ tag(jnp.sign(w), 1, role="weight")


@pytest.mark.parametrize(
  ("kw", "pixels", "taps"),
  [
    ({}, 16, 9),
    (dict(size=(2, 3)), 20, 6),
    (dict(size=(1, 1)), 36, 1),
    (dict(strides=(2, 2)), 4, 9),
    (dict(rhs_dilation=(2, 2)), 4, 9),
    (dict(padding="SAME"), 36, 9),
    (dict(padding=((1, 1), (0, 0)), size=(2, 2)), 35, 4),
    (dict(padding=((0, 0),) * 2, size=(2, 2), lhs_dilation=(2, 1)), 50, 4),
  ],
)
def test_patches_of_signs_are_signs(kw, pixels, taps):
  report = count(functools.partial(im2col, **kw), X, shape(8 * taps, 5))
  assert report.macs == {(1, 1): pixels * 8 * taps * 5}
  padded = "padding" in kw  # zeros among the signs, also between them
  assert [("ternary" in w) for w in report.warnings] == [True] * padded


@pytest.mark.parametrize("wrap", [jax.jit, jax.checkpoint])
def test_patches_inside_calls_and_batches(wrap):
  w = shape(72, 5)
  assert count(wrap(im2col), X, w).macs == {(1, 1): 5760}
  batched = count(jax.vmap(wrap(im2col), (0, None)), shape(3, 1, 6, 6, 8), w)
  assert batched.macs == {(1, 1): 3 * 5760}
  first = dict(dimension_numbers=("NCHW", "OIHW", "NCHW"))

  def channels_first(x, w):
    p = patches(tag(x, 1), **first).reshape(72, -1)
    return tag(w, 1).T @ p

  assert count(channels_first, shape(1, 8, 6, 6), w).macs == {(1, 1): 5760}


@pytest.mark.parametrize(
  ("scale", "bits"),
  [
    ((1, 1, 1, 1), (1, 1)),
    ((1, 1, 1, 8), (32, 1)),  # a factor of a channel is caught in the sum
    ((1, 6, 6, 1), (32, 1)),  # and so is one of a pixel
  ],
)
def test_factors_move_with_the_patches(scale, bits):
  report = count(im2col, X, shape(72, 5), shape(*scale))
  assert report.macs == {bits: 5760}


def test_a_factor_of_a_pixel_leaves_patches_of_one_pixel():
  report = count(
    functools.partial(im2col, size=(1, 1)), X, shape(8, 5), shape(1, 6, 6, 1)
  )
  assert report.macs == {(1, 1): 36 * 40}


def test_the_gradient_of_patches_adds_and_does_not_multiply():
  for kw in ({}, dict(strides=(2, 2)), dict(padding="SAME")):
    fold = jax.grad(lambda x, kw=kw: patches(x, **kw).sum())
    assert count(fold, X).macs == {}


def test_other_constant_kernels_multiply():
  def conv(x, k):
    k = jnp.asarray(k)
    return lax.conv_general_dilated(
      x, k, (1, 1), "VALID", dimension_numbers=NHWC
    )

  one = np.eye(8, dtype=np.float32)[None, None]
  assert count(lambda x: conv(x, one), X).macs == {}
  for kernel in (2 * one, one + one[..., ::-1], np.ones_like(one)):
    got = count(lambda x, k=kernel: conv(x, k), X).macs
    assert got == {(32, 32): 36 * 64}
  # A kernel that is given is a kernel, whatever its values.
  given = count(lambda x, k: conv(x, k), X, jnp.asarray(one), params=1)
  assert given.macs == {(32, 32): 36 * 64}


def test_constants_in_a_loop_are_those_of_its_first_step_only():
  def run(x):
    eye = jnp.eye(8)[None, None]

    def body(k, _):
      y = lax.conv_general_dilated(
        x, k, (1, 1), "VALID", dimension_numbers=NHWC
      )
      return k * 2, y.sum()

    return lax.scan(body, eye, None, length=3)[1]

  assert count(run, X).macs == {(32, 32): 3 * 36 * 64}
