"""Weight Standardization and Batch-Channel Normalization."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.core.progress import DEPLOYED, Mode
from bnnjax.layers.linear import Linear
from bnnjax.layers.norm import BatchChannelNorm
from bnnjax.layers.variables import LatentWeight
from tests import golden_cases, torch_layers

FILE = "ws_bcn.npz"
NAMES = {
  "c_gamma": "group_scale",
  "c_beta": "group_bias",
  "b_gamma": "scale",
  "b_beta": "bias",
}


@golden_cases.parametrize(FILE, "ws")
def test_weight_standardization(case):
  eps = case.hyper("eps", default=1e-5)
  layer = torch_layers.make(case, f"standardize(eps={eps}) > float", None)
  assert not isinstance(layer.kernel, LatentWeight)
  torch_layers.check(case, layer)


@golden_cases.parametrize(FILE, "bcn")
def test_batch_channel_norm(case):
  estimate = "estimate" in case.name
  layer = BatchChannelNorm(
    case["x"].shape[1],
    groups=int(case.hyper("groups", r"_g(\d+)")),
    statistics="estimate" if estimate else "batch",
    momentum=1 - case.hyper("momentum", default=0.1),
    speed=case.hyper("speed", default=0.1),
    epsilon=case.hyper("eps", default=1e-5),
  )
  for ours, theirs in (("mean", "mean"), ("var", "var")):
    variable = getattr(layer, ours)
    if estimate:
      variable[...] = jnp.asarray(case[f"{theirs}_before"])
    elif "eval" in case.name:
      variable[...] = jnp.asarray(case[f"running_{theirs}"])
  for name, ours in NAMES.items():
    getattr(layer, ours)[...] = jnp.asarray(case[name].ravel())
  mode = DEPLOYED if "eval" in case.name else Mode.training()
  x, gy = map(torch_layers.channels_last, (case["x"], case["gy"]))
  y, grads, dx = torch_layers.gradients(layer, x, gy, mode)
  golden_cases.check(y, torch_layers.channels_last(case["y"]), 5e-4, "y")
  golden_cases.check(dx, torch_layers.channels_last(case["dx"]), 5e-4, "dx")
  for name, ours in NAMES.items():
    golden_cases.check(grads[ours], case[f"d{name}"].ravel(), 5e-4, name)
  layer(jnp.asarray(x), mode)
  after = ("mean_after", "var_after") if estimate else (
    "running_mean", "running_var"
  )  # fmt: skip
  golden_cases.check(layer.mean[...], case[after[0]], 1e-5, "mean")
  golden_cases.check(layer.var[...], case[after[1]], 1e-5, "var")


def test_any_number_of_spatial_axes():
  layer = BatchChannelNorm(4, groups=2)
  for shape in ((3, 4), (3, 5, 4)):
    assert layer(jnp.ones(shape), Mode.training()).shape == shape


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"groups": 3}, "must divide the channels: got 3 for 4"),
    ({"groups": 2, "statistics": "batches"}, "Did you mean 'batch'"),
  ],
)
def test_errors(options, message):
  with pytest.raises(ValueError, match=message):
    BatchChannelNorm(4, **options)


def test_a_float_tensor_takes_no_scale():
  with pytest.raises(ValueError, match="takes no scale, got 'channel_l1'"):
    Linear(2, 2, weight="standardize > float|channel_l1", rngs=nnx.Rngs(0))


def test_zero_mean_and_unit_deviation():
  layer = Linear(8, 3, weight="standardize > float", rngs=nnx.Rngs(0))
  w = layer.weight(layer.kernel[...]).dequantize()
  np.testing.assert_allclose(np.mean(w, 0), 0, atol=1e-6)
  np.testing.assert_allclose(np.std(w, 0, ddof=1), 1, rtol=1e-3)
