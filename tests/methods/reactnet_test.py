"""ReActNet against its authors' code and BiBench."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.core.spec import parse
from bnnjax.layers.activations import LearnedShift, RPReLU
from bnnjax.layers.blocks import LayerDefaults, Unit
from bnnjax.models.reactnet import Widen
from bnnjax.tasks.distances import soft_cross_entropy
from tests import golden_cases, torch_layers

FILE = "reactnet.npz"
# Cases that record a defect of the source and are not reproduced.
EXCEPTIONS = {
  "linear_bibench_bug": "BiBench's forward is sign(x), its gradient that of"
  " sign(x + b)",
}


def specs(case):
  zero = torch_layers.sign_hp(case)
  return f"ste({zero})|channel_l1", f"approx_sign({zero})"


@golden_cases.parametrize(FILE, "rsign")
def test_rsign(case):
  zero = torch_layers.sign_hp(case)
  made = parse(f"shift > approx_sign({zero})", "act")
  x, gy = map(torch_layers.channels_last, (case["x"], case["gy"]))
  shift = jnp.asarray(torch_layers.channels_last(case["b"]))
  apply = lambda x, b: made.apply(x, {"shift": b})[0].dequantize()  # noqa: E731
  y, vjp = jax.vjp(apply, jnp.asarray(x), shift)
  dx, db = vjp(jnp.asarray(gy))
  for got, name in ((y, "y"), (dx, "dx"), (db, "db")):
    want = torch_layers.channels_last(case[name])
    golden_cases.check(got, want, 1e-4, name)


class Alone(nnx.Module):
  """A layer without siblings, so that its parameters have a path."""

  def __init__(self, layer):
    self.layer = layer

  def __call__(self, x, mode):
    return self.layer(x, mode)


@golden_cases.parametrize(FILE, "rprelu")
def test_rprelu(case):
  names = {
    "b1": ("layer.shift_in.bias", None),
    "a": ("layer.prelu.slope", None),
    "b2": ("layer.shift_out.bias", None),
  }
  module = Alone(RPReLU(case["x"].shape[1]))
  torch_layers.check_block(case, module, names, 1e-4)


@golden_cases.parametrize(FILE, ("conv", "linear"))
def test_layers(case):
  if case.name.startswith(tuple(EXCEPTIONS)):
    with pytest.raises(AssertionError):
      check_layer(case)
  else:
    check_layer(case)


def check_layer(case):
  weight, act = specs(case)
  plain = torch_layers.without(case, "b", "db")
  layer = torch_layers.make(plain, weight, f"shift > {act}")
  shift = layer.act.params["shift"]
  shift[...] = jnp.asarray(case["b"].reshape(shift.shape))
  dparams = torch_layers.check(plain, layer)
  db = dparams["act"]["params"]["shift"]
  golden_cases.check(db.ravel(), case["db"].ravel(), 1e-4, "db")


def unit(order, features, kernel, case, *, strides=1):
  body = LayerDefaults(*specs(case), epsilon=case.hyper("bn_eps", default=1e-5))
  pad = kernel // 2
  return Unit(
    order, features, features, kernel, strides=strides,
    padding=((pad, pad),) * 2, defaults=body, rngs=nnx.Rngs(0),
  )  # fmt: skip


class MobileBlock(nnx.Module):
  """3x3, then 1x1, of the MobileNet form; two 1x1 where the width doubles."""

  def __init__(self, case):
    features, out = case["x"].shape[1], case["gy"].shape[1]
    self.strides = int(case.hyper("stride"))
    self.first = unit(
      "shift conv norm", features, 3, case, strides=self.strides
    )
    self.first_act = RPReLU(features)
    self.widens = out > features
    if self.widens:
      body = LayerDefaults(
        *specs(case), epsilon=case.hyper("bn_eps", default=1e-5)
      )
      self.second = Widen(
        features, groups=None, defaults=body, rngs=nnx.Rngs(0)
      )
    else:
      self.second = unit("shift conv norm", features, 1, case)
      self.second_act = RPReLU(features)

  def __call__(self, x, mode):
    around = x
    if self.strides > 1:
      size = (self.strides, self.strides)
      around = nnx.avg_pool(x, size, strides=size)
    x = self.first_act(self.first(x, mode) + around, mode)
    if self.widens:
      return self.second(x, mode)
    return self.second_act(self.second(x, mode) + x, mode)


def rprelu_names(path, shift_in, slope, shift_out):
  return {
    f"{shift_in}.bias": (f"{path}.shift_in.bias", None),
    f"{slope}.weight": (f"{path}.prelu.slope", None),
    f"{shift_out}.bias": (f"{path}.shift_out.bias", None),
  }


def norm_names(path, name):
  return {
    f"{name}.weight": (f"{path}.scale", None),
    f"{name}.bias": (f"{path}.bias", None),
  }


@golden_cases.parametrize(FILE, ("block_same", "block_reduce"))
def test_mobile_blocks(case):
  n = case["x"].shape[1]
  names = {
    "move11.bias": ("first.shift.bias", None),
    "binary_3x3.weights": ("first.conv.kernel", (n, n, 3, 3)),
    **norm_names("first.norm", "bn1"),
    **rprelu_names("first_act", "move12", "prelu1", "move13"),
    "move21.bias": ("second.shift.bias", None),
  }
  if "binary_pw.weights" in case:
    names |= {
      "binary_pw.weights": ("second.conv.kernel", (n, n, 1, 1)),
      **norm_names("second.norm", "bn2"),
      **rprelu_names("second_act", "move22", "prelu2", "move23"),
    }
  else:
    for i in (1, 2):
      half = f"second.halves.{i - 1}"
      kernel = (f"{half}.conv.kernel", (n, n, 1, 1))
      names[f"binary_pw_down{i}.weights"] = kernel
      names |= norm_names(f"{half}.norm", f"bn2_{i}")
    names |= rprelu_names("second.activation", "move22", "prelu2", "move23")
  torch_layers.check_block(case, MobileBlock(case), names)


class ResNetBlock(nnx.Module):
  """Bi-Real Net's block between a shift and RPReLU."""

  def __init__(self, case):
    features = case["x"].shape[1]
    self.unit = unit("shift conv norm", features, 3, case)
    self.act = RPReLU(features)

  def __call__(self, x, mode):
    return self.act(self.unit(x, mode) + x, mode)


@golden_cases.parametrize(FILE, "block_resnet")
def test_resnet_block(case):
  names = {
    "move0.bias": ("unit.shift.bias", None),
    "binary_conv.weight": ("unit.conv.kernel", None),
    **norm_names("unit.norm", "bn1"),
    **rprelu_names("act", "move1", "prelu", "move2"),
  }
  torch_layers.check_block(case, ResNetBlock(case), names)


@golden_cases.parametrize(FILE, "kd")
def test_distribution_loss(case):
  teacher = jax.nn.softmax(jnp.asarray(case["teacher"]))
  loss = lambda s: jnp.mean(soft_cross_entropy(s, teacher))  # noqa: E731
  value, grad = jax.value_and_grad(loss)(jnp.asarray(case["student"]))
  golden_cases.check(value, case["loss"].reshape(()), 1e-5, "loss")
  golden_cases.check(grad, case["dstudent"], 1e-5, "dstudent")


def test_shift_of_the_preset_is_the_layer():
  """`shift > approx_sign` and `LearnedShift` before it are the same."""
  x = jax.random.normal(jax.random.key(0), (2, 3))
  layer = LearnedShift(3)
  layer.bias[...] = jnp.array([0.5, -0.5, 2.0])
  want = parse("approx_sign", "act")(layer(x))
  made = parse("reactnet", "act")
  shift = {"shift": layer.bias[...][None]}
  np.testing.assert_array_equal(made.apply(x, shift)[0].dequantize(), want)
