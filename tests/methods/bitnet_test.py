"""BitNet b1.58 against its released quantizers, BitNet against its equations."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.core.spec import parse
from bnnjax.cost import count
from bnnjax.layers.linear import Linear
from tests import golden_cases, torch_layers

FILE = "bitnet_b158.npz"


@pytest.mark.golden
def test_ternary_linear():
  arrays = golden_cases.arrays(FILE)
  w, x = arrays["w"], arrays["x"]
  layer = Linear(
    *w.T.shape,
    weight="bitnet_b158",
    act="bitnet_b158",
    use_bias=False,
    rngs=nnx.Rngs(0),
  )
  layer.kernel[...] = jnp.asarray(w.T)
  low = layer.weight(layer.kernel[...]).dequantize()
  golden_cases.close(low.T, arrays["w_q"], 1e-5, "w_q")
  low = layer.act(jnp.asarray(x)).dequantize()
  golden_cases.close(low, arrays["x_q"], 1e-5, "x_q")
  y, grads, dx = torch_layers.gradients(layer, x, arrays["gy"])
  golden_cases.close(y, arrays["y"], 1e-5, "y")
  golden_cases.close(dx, arrays["gx"], 1e-5, "gx")
  golden_cases.close(grads["kernel"].T, arrays["gw"], 1e-5, "gw")


@pytest.mark.golden
def test_one_bit_weights():
  """The paper's sign(0) is -1; scale and sign come from its equations."""
  arrays = golden_cases.arrays(FILE)
  made = parse("bitnet", "weight")
  hp = (*made.estimator_hp, ("at_zero", -1))
  made = dataclasses.replace(made, estimator_hp=hp)
  term = made.apply(jnp.asarray(arrays["w"].T))[0].terms[0]
  golden_cases.close(term.value.T, arrays["bitnet1.sign"], 0, "sign")
  golden_cases.close(
    term.scale.reshape(()), arrays["bitnet1.beta"], 1e-5, "beta"
  )


def test_tokens_have_scales_of_their_own(rngs):
  layer = Linear(8, 4, weight="bitnet", act="bitnet", rngs=rngs)
  x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 8)), jnp.float32)
  both = layer(x)
  np.testing.assert_allclose(layer(x[1:2]), both[1:2], rtol=1e-6)
  report = count(layer, x)
  assert report.macs_by_name == {"w1a8": 3 * 8 * 4}
