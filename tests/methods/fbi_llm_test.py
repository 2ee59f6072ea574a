"""FBI-LLM's linear layer against its authors' code."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.core.spec import parse
from bnnjax.cost import count
from bnnjax.layers.linear import Linear
from tests import golden_cases, torch_layers
from tests.torch_layers import zero_at_zero

FILE = "fbi_linear.npz"
PATTERNS = {"column": "input", "row": "output", "single": "tensor"}


@golden_cases.parametrize(FILE, tuple(PATTERNS), separator=".")
def test_linear(case):
  per = PATTERNS[golden_cases.stem(case)]
  weight = zero_at_zero(f"ste(clip=None)|affine(per={per!r})", "weight")
  layer = torch_layers.make(case, weight, None)
  params = layer.weight.params
  first, _ = weight.init(jnp.asarray(golden_cases.arrays(FILE)["w"].T))
  for name in ("scale", "shift"):
    want = np.reshape(case[f"init_{name}"], first[name].shape)
    golden_cases.close(first[name], want, 1e-5, f"{name} at the start")
    value = jnp.asarray(case[name]).reshape(params[name].shape)
    params[name][...] = value
  low = layer.weight(layer.kernel[...]).dequantize()
  golden_cases.close(low.T, case["w_binarized"], 1e-5, "w")
  y, grads, dx = torch_layers.gradients(layer, case["x"], case["gy"])
  golden_cases.close(y, case["y"], 1e-5, "y")
  golden_cases.close(dx, case["gx"], 1e-5, "gx")
  golden_cases.close(grads["kernel"].T, case["gw"], 1e-5, "gw")
  golden_cases.close(grads["bias"], case["gb"], 1e-5, "gb")
  for name in ("scale", "shift"):
    got = grads["weight"]["params"][name]
    want = np.reshape(case[f"g{name}"], got.shape)
    golden_cases.close(got, want, 1e-5, f"g{name}")


def test_scale_and_shift_move_to_the_input():
  """The contraction is 1-bit; the shift is one number a token."""
  layer = Linear(16, 8, weight="fbi_llm", use_bias=False, rngs=nnx.Rngs(0))
  x = jnp.ones((2, 16))
  low = layer.weight(layer.kernel[...])
  np.testing.assert_allclose(layer(x), x @ low.dequantize(), rtol=1e-5)
  assert count(layer, x).macs[1, 32] == 2 * 16 * 8


def test_errors():
  with pytest.raises(ValueError, match=r"Did you mean 'input'"):
    parse("ste|affine(per='inputs')", "weight").init(jnp.ones((2, 2)))
