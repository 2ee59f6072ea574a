"""BNN's straight-through signs against BiBench, BiPer and by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from bnnjax.core.spec import parse
from bnnjax.methods.ste import ste
from tests import golden_cases, torch_layers

VARIANTS = {
  "identity": {"clip": None},
  "clip_incl": {"clip": 1.0},
  "clip_excl": {"clip": 1.0, "strict": True},
}


@golden_cases.parametrize("ste.npz", tuple(VARIANTS))
def test_elementwise(case):
  hp = VARIANTS[next(v for v in VARIANTS if case.name.startswith(v))]
  if "clip" in case.hp:
    clip = case.hp["clip"]
    hp = {**hp, "clip": None if np.isinf(clip) else clip}
  y, vjp = jax.vjp(lambda x: ste(x, at_zero=0, **hp), jnp.asarray(case["x"]))
  golden_cases.check(y, case["y"], 1e-6, "y")
  golden_cases.check(vjp(jnp.asarray(case["gy"]))[0], case["dx"], 1e-5, "dx")


@golden_cases.parametrize("ste.npz", ("conv", "linear"))
def test_layers(case):
  spec = "ste(at_zero=0)" if case.has_zeros else "ste"
  torch_layers.check(case, torch_layers.make(case, spec, spec))


def test_surrogate_by_hand():
  x = jnp.array([-1.5, -1.0, 0.0, 0.5, 1.0, 1.25])
  grad = lambda **hp: jax.grad(lambda x: ste(x, **hp).sum())(x)  # noqa: E731
  np.testing.assert_array_equal(grad(), [0, 1, 1, 1, 1, 0])
  np.testing.assert_array_equal(grad(strict=True), [0, 0, 1, 1, 0, 0])
  np.testing.assert_array_equal(grad(clip=1.25), [0, 1, 1, 1, 1, 1])
  np.testing.assert_array_equal(grad(clip=None), np.ones(6))


def test_preset_has_no_scale():
  assert parse("ste", "weight").scale is None
