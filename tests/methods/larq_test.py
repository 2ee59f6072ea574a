"""The estimators of larq and its layers."""

import re

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.spec import parse
from bnnjax.layers.conv import Conv
from bnnjax.layers.linear import Linear
from bnnjax.methods.larq import ste_tern, swish_sign
from tests import golden_cases, torch_layers

FILE = "larq.npz"
ESTIMATORS = {
  "ste_sign": "ste",
  "ste_heaviside": "ste_heaviside",
  "ste_tern": "ste_tern",
  "approx_sign": "approx_sign",
  "swish_sign": "swish_sign",
}
PATTERNS = {
  "clip": r"_clip([\d.]+)",
  "beta": r"_b([\d.]+)",
  "threshold": r"_t([\d.]+)",
}
LAYERS = {
  "bireal": ("approx_sign", "ste|channel_l1", "multiply"),
  "quicknet": ("quicknet", "quicknet", None),
  "ste": ("ste", "ste", None),
}


@golden_cases.parametrize(FILE, tuple(ESTIMATORS))
def test_estimators(case):
  stem = next(s for s in ESTIMATORS if case.name.startswith(s))
  est = registry.get("estimator", ESTIMATORS[stem])
  hp = {}
  for name, pattern in PATTERNS.items():
    if name not in est.defaults:
      continue
    if name in case.hp or re.search(pattern, case.name):
      hp[name] = case.hyper(name, pattern)
      if np.isinf(hp[name]):
        hp[name] = None
  if "clipNone" in case.name:
    hp["clip"] = None
  if "twn" in case.name.split("_"):
    hp["twn"] = True
  tolerance = 2e-5 if stem == "swish_sign" else 1e-5
  torch_layers.check_elementwise(case, lambda x: est(x, **hp), tolerance)


@golden_cases.parametrize(FILE, "magnitude_aware")
def test_magnitude_aware_sign(case):
  made = parse("ste|channel_l1", "weight", gradient="multiply")
  torch_layers.check_elementwise(case, made)


@golden_cases.parametrize(FILE, ("bireal", "quicknet", "ste_dense"))
def test_layers(case):
  act, weight, gradient = LAYERS[case.name.split("_")[0]]
  weight = parse(
    weight, "weight", **({"gradient": gradient} if gradient else {})
  )
  w = case["w"]
  options = {
    "weight": weight,
    "act": act,
    "use_bias": False,
    "rngs": nnx.Rngs(0),
  }
  if w.ndim == 2:
    layer = Linear(*w.shape, **options)
  else:
    strides = int(case.hyper("stride", default=1))
    layer = Conv(*w.shape[-2:], w.shape[:-2], strides=strides, **options)

  layer.kernel[...] = jnp.asarray(w)
  y, dparams, dx = torch_layers.gradients(layer, case["x"], case["gy"])
  golden_cases.check(y, case["y"], 1e-4, "y")
  golden_cases.check(dx, case["dx"], 1e-4, "dx")
  golden_cases.check(dparams["kernel"], case["dw"], 1e-4, "dw")


def test_swish_is_the_textbook_formula():
  x, beta = np.linspace(-3, 3, 25), 5.0
  u = beta * x
  want = beta * (2 - u * np.tanh(u / 2)) / (1 + np.cosh(u))
  got = jax.grad(lambda x: swish_sign(x).sum())(jnp.asarray(x, jnp.float32))
  np.testing.assert_allclose(got, want, atol=1e-6)


def test_ternary_threshold_of_twn():
  x = jnp.array([-1.0, -0.3, 0.1, 0.6])  # mean |x| is 0.5
  np.testing.assert_array_equal(ste_tern.value(x, twn=True), [-1, 0, 0, 1])
