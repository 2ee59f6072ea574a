"""ReCU against its authors' code and BiBench."""

import jax
import jax.numpy as jnp
import numpy as np

from bnnjax.core import registry
from bnnjax.core.progress import DEPLOYED, Mode, Progress
from bnnjax.core.spec import parse
from tests import golden_cases, torch_layers

FILE = "recu.npz"


@golden_cases.parametrize(FILE, ("conv", "linear"))
def test_layers(case):
  zero = torch_layers.sign_hp(case)
  tau = case.hyper("tau", r"_tau([\d.]+)", default=1.0)
  hp = torch_layers.sign_hp(case, clip=None)
  weight = f"recu(tau={tau}) > ste({hp})|learned(init=1.0)"
  std = "token_std" if case["w"].ndim == 2 else "example_std"
  act = f"{std} > approx_sign({zero})"
  layer = torch_layers.make(case, weight, act)
  alpha = layer.weight.params["scale"]
  alpha[...] = jnp.asarray(case["alpha"].reshape(alpha.shape))
  evaluates = "eval" in case.name.split("_")
  mode = DEPLOYED if evaluates else Mode.training()
  dparams = torch_layers.check(case, layer, mode)
  dalpha = dparams["weight"]["params"]["scale"]
  golden_cases.check(dalpha.ravel(), case["dalpha"].ravel(), 1e-4, "dalpha")


@golden_cases.parametrize(FILE, "tau_schedule")
def test_schedule(case):
  epochs = int(case.hyper("epochs"))
  hp = {"start": case.hyper("min"), "end": case.hyper("max")}
  tau = registry.get("schedule", "exponential")
  got = [tau(Progress.at(int(e), epochs, epochs), **hp) for e in case["epoch"]]
  golden_cases.check(got, case["tau"], 1e-6, "tau")


def test_the_clamp_gates_the_gradient_alone():
  w = jnp.array([[0.1], [-0.1], [0.2], [-3.0]])
  grads = {}
  for tau in (0.6, 0.85, 1.0, 2.0):
    made = parse(f"recu(tau={tau}) > ste(clip=None)", "weight")
    np.testing.assert_array_equal(made(w), jnp.sign(w - w.mean()))
    grads[tau] = jax.grad(lambda w, m=made: (m(w) * w[::-1]).sum())(w)
    assert np.all(np.isfinite(grads[tau]))
  assert not np.allclose(grads[0.6], grads[0.85])
  np.testing.assert_array_equal(grads[1.0], grads[2.0])
