"""Bi-Real Net against its authors' code, BiBench, and as a block."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from bnnjax.core.spec import parse
from bnnjax.layers.blocks import LayerDefaults, Unit
from bnnjax.layers.shortcut import shortcut
from bnnjax.methods.bireal import approx_sign
from tests import golden_cases, torch_layers

FILE = "bireal.npz"


def specs(case):
  zero = torch_layers.sign_hp(case)
  return f"ste({zero})|channel_l1", f"approx_sign({zero})"


@golden_cases.parametrize(FILE, "approx_sign")
def test_estimator(case):
  torch_layers.check_elementwise(case, lambda x: approx_sign(x, at_zero=0))


@golden_cases.parametrize(FILE, ("conv", "linear"))
def test_layers(case):
  torch_layers.check(case, torch_layers.make(case, *specs(case)))


@golden_cases.parametrize(FILE, "hardbinaryconv")
def test_flat_layer(case):
  """A column of weights, row-major OIHW; the sign of x is a layer before it."""
  out, inside = case["gy"].shape[1], case["x"].shape[1]
  shape = torch_layers.flat_shape(case["w_flat"], out, inside)
  flat = {
    "w": case["w_flat"].reshape(shape),
    "dw": case["dw_flat"].reshape(shape),
  }
  case = dataclasses.replace(case, arrays={**case.arrays, **flat})
  torch_layers.check(case, torch_layers.make(case, specs(case)[0], None))


class Block(nnx.Module):
  """`BN(conv(sign(x))) + shortcut(x)`."""

  def __init__(self, case, weight, act):
    inside, features = case["x"].shape[1], case["gy"].shape[1]
    body = LayerDefaults(
      weight, act, epsilon=case.hyper("bn_eps", default=1e-5)
    )
    strides, rngs = int(case.hyper("stride")), nnx.Rngs(0)
    kernel = torch_layers.flat_shape(case["w_flat"], features, inside)[-1]
    pad = int(case.hyper("pad", default=kernel // 2))
    self.unit = Unit(
      "conv norm", inside, features, kernel, strides=strides,
      padding=((pad, pad),) * 2, defaults=body, rngs=rngs,
    )  # fmt: skip
    self.around = shortcut(
      "pool_conv", inside, features, strides,
      defaults=body.with_operands(None, None), rngs=rngs,
    )  # fmt: skip

  def __call__(self, x, mode):
    return self.unit(x, mode) + self.around(x, mode)


@golden_cases.parametrize(FILE, "block")
def test_blocks(case):
  inside, features = case["x"].shape[1], case["gy"].shape[1]
  shape = torch_layers.flat_shape(case["w_flat"], features, inside)
  names = {
    "w_flat": ("unit.conv.kernel", shape),
    "gamma": ("unit.norm.scale", None),
    "beta": ("unit.norm.bias", None),
  }
  if "w_sc" in case:
    names |= {
      "w_sc": ("around.conv.kernel", None),
      "gamma_sc": ("around.norm.scale", None),
      "beta_sc": ("around.norm.bias", None),
    }
  torch_layers.check_block(case, Block(case, *specs(case)), names)


def test_weight_gradient_without_and_with_the_scale():
  w = jnp.array([[0.5], [-1.5], [0.25]])
  grad = lambda **o: jax.grad(  # noqa: E731
    lambda w: parse("bireal", "weight", **o)(w).sum()
  )(w)
  np.testing.assert_allclose(grad(), [[1], [0], [1]])
  np.testing.assert_allclose(grad(gradient="multiply"), [[0.75], [0], [0.75]])
