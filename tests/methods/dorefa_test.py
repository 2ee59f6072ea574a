"""DoReFa-Net against larq, tensorpack and BiBench."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from bnnjax.core.progress import DEPLOYED, Mode, Progress
from bnnjax.core.spec import parse
from bnnjax.layers.linear import Linear
from bnnjax.methods.dorefa import dorefa_grad
from tests import golden_cases, torch_layers

FILE = "dorefa.npz"


@golden_cases.parametrize(FILE, "conv")
def test_convolutions_of_bibench(case):
  zero = torch_layers.sign_hp(case)
  layer = torch_layers.make(case, f"ste({zero})|channel_l1", f"ste({zero})")
  torch_layers.check(case, layer)


@golden_cases.parametrize(FILE, "linear")
def test_linear_of_bibench(case):
  hp = torch_layers.sign_hp(case, strict=True)
  weight = parse(f"ste({hp})|channel_l1", "weight", gradient="multiply")
  torch_layers.check(case, torch_layers.make(case, weight, f"ste({hp})"))


def run(case, made):
  y, vjp = jax.vjp(made, jnp.asarray(case["x"]))
  return y, vjp(jnp.asarray(case["gy"]))[0]


@golden_cases.parametrize(FILE, ("larq_act", "tensorpack_act"))
def test_activations(case):
  bits = int(case.hyper("k", r"_k(\d+)"))
  y, dx = run(case, parse(f"dorefa_act(bits={bits})", "act"))
  golden_cases.check(y, case["y"], 1e-6, "y")
  golden_cases.check(dx, case["dx"], 1e-5, "dx")


@golden_cases.parametrize(FILE, ("larq_weight", "tensorpack_weight"))
def test_weights(case):
  bits = int(case.hyper("k", r"_k(\d+)"))
  tensorpack = case.name.startswith("tensorpack")
  spec = f"tanh_unit(detach={not tensorpack}) > dorefa_weight(bits={bits})"
  if tensorpack and bits == 1:
    spec = "ste(clip=None)|tensor_l1"
  y, dx = run(case, parse(spec, "weight"))
  off = np.abs(y - case["y"]) > 1e-5
  assert np.mean(off) <= 0.02, "more than rounding ties"
  assert np.max(np.abs(y - case["y"])) <= 2 / (2**bits - 1) + 1e-5
  golden_cases.check(dx, case["dx"], 1e-5, "dx")


@golden_cases.parametrize(FILE, "tensorpack_grad")
def test_gradients_lie_on_the_grid(case):
  """Random in the original too: only the levels can be compared."""
  bits = int(case.hyper("k", r"_k(\d+)"))
  n, gy = 2**bits - 1, case["gy"]
  got = dorefa_grad.function(jnp.asarray(gy), jax.random.key(0), bits=bits)
  top = np.max(np.abs(gy), axis=1, keepdims=True)
  for dx in (np.asarray(got), case["dx"]):
    level = (dx / top / 2 + 0.5) * n
    np.testing.assert_allclose(level, np.round(level), atol=1e-4)
    assert np.max(np.abs(level - (gy / top / 2 + 0.5) * n)) <= 1 + 1e-4
  np.testing.assert_array_equal(case["y"], case["x"])


def test_gradient_quantizer_is_unbiased():
  g = jax.random.normal(jax.random.key(0), (2, 5))
  keys = jax.random.split(jax.random.key(1), 2000)
  mean = jnp.mean(
    jax.vmap(lambda k: dorefa_grad.function(g, k, bits=2))(keys), 0
  )
  inner = np.abs(g) < 0.6 * np.max(np.abs(g), 1, keepdims=True)
  np.testing.assert_allclose(mean[inner], g[inner], atol=0.1)
  zero = jnp.zeros((2, 5))
  np.testing.assert_array_equal(dorefa_grad.function(zero, keys[0]), zero)


def test_grad_option_of_a_layer():
  """Training quantizes the gradient, anew each step; the output is the same."""
  make = lambda **o: Linear(  # noqa: E731
    4, 3, weight="ste", rngs=nnx.Rngs(0), **o
  )
  plain, layer = make(), make(grad="dorefa_grad(bits=2)")
  x = jax.random.normal(jax.random.key(0), (2, 5, 4))
  gy = jax.random.normal(jax.random.key(1), (2, 5, 3))

  def run(layer, step):
    mode = Mode.training(Progress.at(step, 10, 1.0)) if step >= 0 else DEPLOYED
    return torch_layers.gradients(layer, x, gy, mode)

  np.testing.assert_array_equal(run(layer, 0)[0], run(plain, 0)[0])
  db = lambda layer, step: np.asarray(run(layer, step)[1]["bias"])  # noqa: E731
  assert not np.allclose(db(layer, 0), db(plain, 0))
  assert not np.allclose(db(layer, 0), db(layer, 1))
  np.testing.assert_array_equal(db(layer, 0), db(layer, 0))
  np.testing.assert_array_equal(db(layer, -1), db(plain, -1))
