"""XNOR-Net++ against BiBench."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.layers.conv import Conv
from bnnjax.layers.linear import Linear
from tests import golden_cases, torch_layers

FILE = "xnorpp.npz"
POSITIONS = ("beta", "gamma")  # rows, columns


@golden_cases.parametrize(FILE, ("conv", "linear"))
def test_layers(case):
  spatial = case["w"].ndim > 2
  hp = torch_layers.sign_hp(case, **({} if spatial else {"strict": True}))
  size = max(case["gy"].shape[2:]) + 3 if spatial else 1
  layer = torch_layers.make(
    case, f"ste({hp})", f"ste({hp})", output=f"rank1(size={size})"
  )
  names = [n for n in POSITIONS if n in case]
  layer.output.scale[...] = jnp.asarray(case["alpha"].ravel())
  for variable, name in zip(layer.output.positions, names):
    used = case[name].size
    variable[...] = variable[...].at[:used].set(case[name].ravel())
  grads = torch_layers.check(case, layer)["output"]
  golden_cases.check(grads["scale"], case["dalpha"].ravel(), 1e-4, "dalpha")
  for i, name in enumerate(names):
    got, want = grads["positions"][i], case[f"d{name}"].ravel()
    golden_cases.check(got[: want.size], want, 1e-4, f"d{name}")
    np.testing.assert_array_equal(got[want.size :], 0)  # positions not used


def test_channel_is_the_first_case_of_the_paper():
  layer = Linear(
    4, 3, weight="ste", act="ste", use_bias=False, output="channel",
    rngs=nnx.Rngs(0),
  )  # fmt: skip
  x, plain = jnp.ones((2, 4)), layer(jnp.ones((2, 4)))
  layer.output.scale[...] = jnp.array([1.0, 2.0, 3.0])
  np.testing.assert_allclose(layer(x), plain * jnp.array([1.0, 2.0, 3.0]))


def test_a_map_that_is_too_large_says_what_to_do():
  layer = Conv(
    2, 3, (3, 3), weight="ste", act="ste", output="rank1(size=4)",
    rngs=nnx.Rngs(0),
  )  # fmt: skip
  with pytest.raises(ValueError, match=r"give `rank1\(size=5\)`"):
    layer(jnp.ones((1, 5, 4, 2)))


@pytest.mark.parametrize(
  ("output", "message"),
  [
    ("rank2", "Unknown output 'rank2'. Did you mean 'rank1'"),
    ("rank1(sise=3)", "Unknown hyper-parameter"),
  ],
)
def test_errors(output, message):
  with pytest.raises(ValueError, match=message):
    Linear(2, 2, output=output, rngs=nnx.Rngs(0))
