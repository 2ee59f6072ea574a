"""A small network of three widths, counted once for several test files."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from bnnjax.core.bits import tag
from bnnjax.cost import count


def shape(*dims):
  return jax.ShapeDtypeStruct(dims, jnp.float32)


def net(x, k, w, head):
  with jax.named_scope("conv"):
    x = lax.conv_general_dilated(
      tag(x, 1), tag(k, 1), (1, 1), "VALID",
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
  x = x.mean((1, 2))
  with jax.named_scope("body"):
    x = tag(x, 8) @ tag(w, 4)
  with jax.named_scope("head"):
    return x @ head


CONV, BODY, HEAD = 4 * 4 * 8 * 9 * 3, 8 * 8, 8 * 5
SHAPES = shape(1, 6, 6, 3), shape(3, 3, 3, 8), shape(8, 8), shape(8, 5)


@functools.cache
def report():
  return count(net, *SHAPES, params=(1, 2, 3))
