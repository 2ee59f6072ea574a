"""FDA-BNN against BiBench."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.progress import DEPLOYED, Mode, Progress
from bnnjax.core.spec import parse
from bnnjax.layers.linear import Linear
from bnnjax.layers.variables import TrainingParam
from bnnjax.methods.fda import fda, fourier_slope, noise
from tests import golden_cases, torch_layers

FILE = "fda.npz"
INNER = ("noise_in", "noise_out")


def columns(fc, window, axis):
  """A matrix over flattened filters (I, kh, kw) in our order (kh, kw, I)."""
  if not window:
    return fc
  fc = np.moveaxis(fc, axis, -1)
  shape = (fc.shape[0], fc.shape[1] // np.prod(window), *window)
  fc = np.moveaxis(fc.reshape(shape), 1, -1).reshape(fc.shape)
  return np.moveaxis(fc, -1, axis)


def ours(fc1, fc2, window=()):
  """torch's `[hidden, d]` and `[d, hidden]` as `noise_in`, `noise_out`."""
  return columns(fc1, window, 1).T, columns(fc2, window, 0).T


@golden_cases.parametrize(FILE, "fda")
def test_estimator(case):
  hp = {
    "n": case.hyper("n", r"_n(\d+)"),
    "omega": case.hyper("omega", default=fda.defaults["omega"]),
  }
  torch_layers.check_elementwise(case, lambda x: fda(x, at_zero=0, **hp))


@golden_cases.parametrize(FILE, "noise")
def test_noise_modules(case):
  # Of weights the filters are rows, which are columns with us.
  weights = case["x"].ndim == 2
  turn = np.transpose if weights else torch_layers.channels_last
  along = "filter" if weights else "feature"
  values = dict(zip(INNER, map(jnp.asarray, ours(case["fc1"], case["fc2"]))))
  y, vjp = jax.vjp(
    lambda x, p: noise(p, x, along), jnp.asarray(turn(case["x"])), values
  )
  dx, dp = vjp(jnp.asarray(turn(case["gy"])))
  golden_cases.check(y, turn(case["y"]), 1e-4, "y")
  golden_cases.check(dx, turn(case["dx"]), 1e-4, "dx")
  for name, want in zip(INNER, ours(case["dfc1"], case["dfc2"])):
    golden_cases.check(dp[name], want, 1e-4, name)


@golden_cases.parametrize(FILE, ("conv", "linear"))
def test_layers(case):
  hp = {
    "n": case.hyper("n", default=fda.defaults["n"]),
    "omega": case.hyper("omega", default=fda.defaults["omega"]),
  }
  noisy = "w_fc1" in case
  hp |= {"alpha": case.hyper("alpha", default=0.0)} if noisy else {}
  specs = {"reduction": 1} if noisy else {"reduction": 0}
  hp = torch_layers.sign_hp(case, **hp, **specs)
  weight = parse(
    f"fda({hp}, along='filter')|channel_l1", "weight", gradient="multiply"
  )
  layer = torch_layers.make(case, weight, f"fda({hp})")
  window = case["w"].shape[2:]
  places = (("w", layer.weight, window), ("a", layer.act, ()))
  for stem, part, shape in places if noisy else ():
    values = ours(case[f"{stem}_fc1"], case[f"{stem}_fc2"], shape)
    part.params = nnx.Dict(
      {k: TrainingParam(jnp.asarray(v)) for k, v in zip(INNER, values)}
    )
  grads = torch_layers.check(case, layer, Mode.training())
  for stem, part, shape in places if noisy else ():
    got = grads["weight" if part is layer.weight else "act"]["params"]
    wanted = ours(case[f"d{stem}_fc1"], case[f"d{stem}_fc2"], shape)
    for name, want in zip(INNER, wanted):
      golden_cases.check(got[name], want, 1e-4, f"{stem} {name}")


@golden_cases.parametrize(FILE, "schedule")
def test_schedules(case):
  epochs = int(case.hyper("epochs"))
  at = [Progress.at(int(e), epochs, epochs) for e in case["epoch"]]
  n = registry.get("schedule", "staircase")
  alpha = registry.get("schedule", "cosine")
  golden_cases.check([n(p, start=9, end=18) for p in at], case["n"], 0, "n")
  got = [alpha(p, start=0.1, end=0.0, ahead=1.0) for p in at]
  golden_cases.check(got, case["alpha"], 1e-6, "alpha")


def test_closed_form_is_the_sum():
  x = np.linspace(-1.2, 1.2, 25)
  i = np.arange(14)[:, None]
  want = 0.4 / np.pi * np.cos((2 * i + 1) * 0.1 * x).sum(0) * (np.abs(x) <= 1)
  got = fourier_slope(jnp.asarray(x, jnp.float32), 13, 0.1)
  np.testing.assert_allclose(got, want, atol=1e-5)


def test_noise_trains_and_is_left_out_of_the_deployed_network():
  hp = "alpha=cosine(start=0.1, end=0.0), reduction=2"
  layer = Linear(
    8, 4, weight=f"fda({hp}, along='filter')", act=f"fda({hp})",
    rngs=nnx.Rngs(0),
  )  # fmt: skip
  x = jax.random.normal(jax.random.key(0), (3, 8))
  mode = Mode.training(Progress.at(0, 10, 10.0))
  _, grads, _ = torch_layers.gradients(layer, x, jnp.ones((3, 4)), mode)
  for part in ("weight", "act"):
    for name in INNER:
      assert np.any(grads[part]["params"][name] != 0)
  params = layer.act.params
  deployed = str(jax.make_jaxpr(lambda x: layer(x, DEPLOYED))(x))
  assert deployed.count("dot_general") == 1
  assert isinstance(params["noise_in"], TrainingParam)
  assert np.any(params["noise_in"][...] != layer.weight.params["noise_in"][...])


def test_only_the_noise_is_missing_from_the_deployed_network():
  layer = Linear(8, 4, act="shift > fda", rngs=nnx.Rngs(0))
  kinds = {k: type(v) is TrainingParam for k, v in layer.act.params.items()}
  assert kinds == {"shift": False, "noise_in": True, "noise_out": True}
