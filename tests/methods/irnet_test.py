"""IR-Net against its authors' code."""

import jax
import jax.numpy as jnp
import numpy as np

from bnnjax.core import registry
from bnnjax.core.progress import Mode, Progress
from bnnjax.core.spec import parse
from bnnjax.methods.irnet import ede
from tests import golden_cases, torch_layers

FILE = "irnet.npz"


@golden_cases.parametrize(FILE, "ede")
def test_estimator_and_schedule(case):
  t, k = case.hyper("t"), case.hyper("k")
  hp = {"t": t, "at_zero": 0}
  if not np.isclose(k, max(1 / t, 1)):
    hp["k"] = k
  torch_layers.check_elementwise(case, lambda x: ede(x, **hp), 2e-5)
  start = case.hyper("Tmin", r"_T([\d.]+)_")
  end = case.hyper("Tmax", r"_T[\d.]+_([\d.]+)_")
  fraction = case.hyper("frac", r"_at([\d.]+)")
  got = registry.get("schedule", "geometric")(
    Progress.at(round(1000 * fraction), 1000, 10.0), start=start, end=end
  )
  np.testing.assert_allclose(got, t, rtol=1e-5)


@golden_cases.parametrize(FILE, "conv")
def test_layers(case):
  zero = torch_layers.sign_hp(case, t=case.hyper("t"), k=case.hyper("k"))
  weight = parse(
    f"standardize(eps=1e-12) > ede({zero})|channel_l1(pow2=True)",
    "weight",
    gradient="multiply",
  )
  layer = torch_layers.make(case, weight, f"ede({zero})")
  torch_layers.check(case, layer)


def test_preset_follows_the_run():
  made = parse("irnet", "act")
  x = jnp.array([0.0])
  slope = lambda mode: jax.grad(lambda x: made(x, mode).sum())(x)[0]  # noqa: E731
  for step, want in ((0, 1.0), (5, 1.0), (10, 10.0)):
    got = slope(Mode.training(Progress.at(step, 10, 1.0)))
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_a_constant_channel_stays_finite():
  made = parse("irnet", "weight")
  dw = jax.grad(lambda w: made(w).sum())(jnp.ones((4, 2)))
  assert np.all(np.isfinite(dw))
