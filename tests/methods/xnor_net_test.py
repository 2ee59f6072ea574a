"""XNOR-Net against BiBench and XNOR-Net-PyTorch, its map K by hand."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from bnnjax.core.spec import parse
from bnnjax.layers.conv import Conv
from bnnjax.layers.linear import Linear
from bnnjax.methods.xnor_net import center_clamp
from tests import golden_cases, torch_layers

FILE = "xnor.npz"


@golden_cases.parametrize(FILE, "conv")
def test_convolutions(case):
  """One scale an example; scales do not touch the gradients of their own."""
  zero = torch_layers.sign_hp(case)
  layer = torch_layers.make(
    case, f"ste({zero})|channel_l1", f"ste({zero})|example_l1"
  )
  torch_layers.check(case, layer)


@golden_cases.parametrize(FILE, "linear")
def test_linear(case):
  """One scale a token; weights are centred; scales multiply the gradients."""
  zero = torch_layers.sign_hp(case)
  weight, act = (
    parse(spec, role, gradient="multiply")
    for spec, role in (
      (f"center > ste({zero})|channel_l1", "weight"),
      (f"ste({zero})|token_l1", "act"),
    )
  )
  torch_layers.check(case, torch_layers.make(case, weight, act))


@golden_cases.parametrize(FILE, "binop")
def test_projection_and_weight_gradient(case):
  w = jnp.asarray(torch_layers.kernel(case["w"]))
  latent = center_clamp(w)
  golden_cases.check(
    latent, torch_layers.kernel(case["w_latent"]), 1e-6, "w_latent"
  )
  made = parse("fan_in_gain > ste|channel_l1", "weight", gradient="full")
  w_bin, vjp = jax.vjp(made, latent)
  (dw,) = vjp(jnp.asarray(torch_layers.kernel(case["g_wbin"])))
  golden_cases.check(w_bin, torch_layers.kernel(case["w_bin"]), 1e-5, "w_bin")
  golden_cases.check(dw, torch_layers.kernel(case["dw"]), 1e-4, "dw")


def test_spatial_scale_is_the_box_mean_of_input_magnitudes():
  rng = np.random.default_rng(0)
  x = rng.standard_normal((2, 5, 6, 3)).astype(np.float32)
  layer = Conv(
    3, 4, (3, 3), strides=2, padding=1, use_bias=False,
    weight="xnor_net", act="xnor_net", output="spatial_l1", rngs=nnx.Rngs(0),
  )  # fmt: skip
  plain = Conv(
    3, 4, (3, 3), strides=2, padding=1, use_bias=False,
    weight="xnor_net", act="xnor_net", rngs=nnx.Rngs(0),
  )  # fmt: skip
  a = np.pad(np.abs(x).mean(-1), ((0, 0), (1, 1), (1, 1)))
  k = np.zeros((2, 3, 3))
  for i in range(3):
    for j in range(3):
      k[:, i, j] = a[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].sum((1, 2)) / 9
  np.testing.assert_allclose(layer(x), plain(x) * k[..., None], rtol=1e-5)


def test_spatial_scale_of_a_linear_layer_is_per_token():
  x = np.random.default_rng(0).standard_normal((2, 5, 6)).astype(np.float32)
  make = lambda **o: Linear(  # noqa: E731
    6, 4, weight="ste", act="ste", use_bias=False, rngs=nnx.Rngs(0), **o
  )
  want = make()(x) * np.abs(x).mean(-1, keepdims=True)
  np.testing.assert_allclose(make(output="spatial_l1")(x), want, rtol=1e-6)


def test_a_kernel_of_one_input_is_not_centred():
  """Its mean is itself: a stem on grey images would be 0 after one step."""
  w = jnp.array([-2.0, 0.5]).reshape(1, 1, 1, 2)
  np.testing.assert_array_equal(center_clamp(w).ravel(), [-1.0, 0.5])
