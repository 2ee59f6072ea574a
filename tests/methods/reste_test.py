"""ReSTE, its schedule and its indicators against the authors' code."""

import jax
import jax.numpy as jnp
import numpy as np

from bnnjax.core import diagnostics, registry
from bnnjax.core.progress import Progress
from bnnjax.core.spec import parse
from bnnjax.methods.reste import reste
from tests import golden_cases, torch_layers

FILE = "reste.npz"
PATTERNS = {"o": r"_o([\d.]+)", "t": r"_t([\d.]+)"}


def hyper(case):
  return {
    name: case.hyper(name, PATTERNS.get(name), default)
    for name, default in reste.defaults.items()
    if name != "at_zero"
  }


@golden_cases.parametrize(FILE, "reste")
def test_estimator(case):
  hp = hyper(case)
  torch_layers.check_elementwise(case, lambda x: reste(x, at_zero=0, **hp))
  f = diagnostics.power_sign(jnp.asarray(case["x"]), hp["o"])
  golden_cases.check(f, case["f"], 1e-5, "f")


@golden_cases.parametrize(FILE, "conv")
def test_layers(case):
  hp = torch_layers.sign_hp(case, **hyper(case))
  weight = parse(f"reste({hp})|tensor_l1", "weight", gradient="full")
  torch_layers.check(case, torch_layers.make(case, weight, f"reste({hp})"))


@golden_cases.parametrize(FILE, "indicators")
def test_indicators(case):
  numbered = lambda stem: [  # noqa: E731
    jnp.asarray(v) for k, v in sorted(case.arrays.items())
    if k[0] == stem and k[1:].isdigit()
  ]  # fmt: skip
  weights, gradients = numbered("w"), numbered("g")
  errors = [diagnostics.estimating_error(weights, o) for o in case["o"]]
  golden_cases.check(errors, case["estimating_error"], 1e-5, "error")
  stability = diagnostics.gradient_stability(gradients)
  golden_cases.check(stability, case["stability"].reshape(()), 1e-5, "s")


@golden_cases.parametrize(FILE, "o_schedule")
def test_schedule(case):
  epochs = int(case.hyper("epochs"))
  schedule = registry.get("schedule", "quarter_cosine")
  got = [
    schedule(
      Progress.at(int(e), epochs, epochs), start=1.0, end=case.hyper("o_end")
    )
    for e in case["epoch"]
  ]
  golden_cases.check(got, case["o"], 1e-6, "o")


def test_first_power_is_the_clipped_identity():
  x = jnp.array([-1.6, -1.5, -0.05, 0.0, 1.0])
  got = jax.grad(lambda x: reste(x, o=1.0).sum())(x)
  np.testing.assert_allclose(got, [0, 1, 1, 1, 1], rtol=1e-6)
