"""PokeBNN's layers and blocks against google/aqt, and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.core.progress import Mode, Progress
from bnnjax.layers.conv import Conv
from bnnjax.layers.linear import Linear
from bnnjax.layers.poke import (
  PokeBits,
  PokeConv,
  PokeInit,
  SqueezeExcite,
)
from tests import golden_cases

LAYERS = "pokebnn_layers.npz"
EVAL, TRAIN = "pokebnn_blocks_eval.npz", "pokebnn_blocks_train.npz"
# The recorded network: weights quantized, bounds as the file says (-1 is none).
RECORDED = PokeBits(start=0)


def mode_of(case):
  progress = Progress.at(1, 2, 1)
  return Mode(
    progress, train=bool(case.hyper("train", default=0)), deployed=False
  )


def tolerances(case, block=False):
  """(forward, gradient) of `estimators.md`."""
  if case.hyper("bf16", default=0):
    return (0.15, 0.15) if block else (3e-2, 5e-2)
  return (5e-4, 5e-4) if block else (1e-4, 1e-4)


def dtype_of(case):
  return jnp.bfloat16 if case.hyper("bf16", default=0) else None


def run(module, inputs, gy, mode):
  """Forward, input gradients, parameter gradients as `{path: array}`."""
  graphdef, params, rest = nnx.split(module, nnx.Param, ...)
  rest = nnx.to_pure_dict(rest)

  def apply(params, *inputs):
    model = nnx.merge(graphdef, params, rest)
    if len(inputs) > 1:
      return model(inputs[0], mode, long_shortcut=inputs[1])
    return model(inputs[0], mode)

  @jax.jit
  def gradients(params, gy, *inputs):
    y, vjp = jax.vjp(apply, params, *inputs)
    return y, vjp(gy.astype(y.dtype))

  y, (dparams, *dinputs) = gradients(nnx.to_pure_dict(params), gy, *inputs)
  flat = nnx.traversals.flatten_mapping(dparams, sep=".")
  return y, dinputs, flat


def largest(w):
  """Elements at their channel's largest magnitude: gradient 1 or 1/2 by ulp."""
  return np.abs(w) == np.max(np.abs(w), axis=tuple(range(w.ndim - 1)))


def load_block(case, module, names):
  """Sets parameters and statistics by their flax names; returns the map."""
  modules = dict(names)
  for key, value in case.arrays.items():
    if key.startswith("p."):
      name, _, field = key[2:].rpartition(".")
      getattr(modules[name], field)[...] = jnp.asarray(value)
    elif key.startswith("s.get_bounds."):
      name = key.split(".")[2]
      stats = modules[name].act.stats
      if "bound" in stats:
        stats["bound"][...] = jnp.asarray(value)
    elif key.startswith("s.batch_stats."):
      name, _, field = key[len("s.batch_stats.") :].rpartition(".")
      getattr(modules[name], field)[...] = jnp.asarray(value)


def paths(module, names):
  """Our parameter path of each recorded name."""
  where = {id(m): ".".join(map(str, p)) for p, m in nnx.iter_modules(module)}
  return {name: where[id(m)] for name, m in names.items()}


def compare(case, module, names, inputs=("x",)):
  load_block(case, module, names)
  arrays = [case[i] for i in inputs]
  y, dinputs, dparams = run(module, arrays, case["gy"], mode_of(case))
  forward, backward = tolerances(case, block=True)
  golden_cases.check(y, case["y"], forward, "y")
  for name, got in zip(inputs, dinputs):
    golden_cases.check(got, case[f"d{name}"], backward, f"d{name}")
  where = paths(module, names)
  for key, want in case.arrays.items():
    if key.startswith("dp."):
      name, _, field = key[3:].rpartition(".")
      got = dparams[f"{where[name]}.{field}"]
      skip = None
      if field == "kernel" and not name.startswith("conv-"):
        skip = largest(case[f"p.{name}.kernel"])
        skip = skip if np.mean(skip) < 0.5 else None
      golden_cases.check(got, want, backward, key, skip)


@golden_cases.parametrize(LAYERS, "conv1")
def test_binary_conv(case):
  w = case["w"]
  spec = f"half_shift|fixed(value={case.hyper('B')})"
  conv = Conv(
    w.shape[2],
    w.shape[3],
    w.shape[:2],
    strides=int(case.hyper("stride")),
    weight="half_shift|channel_max",
    act=spec,
    use_bias=False,
    dtype=dtype_of(case),
    rngs=nnx.Rngs(0),
  )
  conv.kernel[...] = jnp.asarray(w)
  y, (dx,), grads = run(conv, [case["x"]], case["gy"], mode_of(case))
  forward, backward = tolerances(case)
  golden_cases.check(y, case["y"], forward, "y")
  golden_cases.check(dx, case["dx"], backward, "dx")
  golden_cases.check(grads["kernel"], case["dw"], backward, "dw")
  np.testing.assert_array_equal(np.asarray(grads["kernel"])[largest(w)], 0)


@golden_cases.parametrize(LAYERS, "dense")
def test_dense(case):
  bits = int(case.hyper("bits", r"^dense(\d)"))
  dense = Linear(
    *case["w"].shape, **RECORDED.uniform(bits, start=False), rngs=nnx.Rngs(0)
  )
  dense.kernel[...], dense.bias[...] = map(jnp.asarray, (case["w"], case["b"]))
  dense.act.stats["bound"][...] = jnp.asarray(case["bounds"])
  y, (dx,), grads = run(dense, [case["x"]], case["gy"], mode_of(case))
  golden_cases.check(y, case["y"], 1e-4, "y")
  golden_cases.check(dx, case["dx"], 1e-4, "dx")
  golden_cases.check(
    grads["kernel"], case["dw"], 1e-4, "dw", largest(case["w"])
  )
  golden_cases.check(grads["bias"], case["db"], 1e-4, "db")


@golden_cases.parametrize(EVAL, "se")
def test_squeeze_excite(case):
  kernels = {k: v for k, v in case.arrays.items() if k.startswith("p.sefc")}
  first = next(k for k in kernels if k.startswith("p.sefc1") and "kernel" in k)
  second = next(k for k in kernels if k.startswith("p.sefc2") and "kernel" in k)
  se = SqueezeExcite(
    kernels[first].shape[2],
    kernels[second].shape[3],
    bits=RECORDED,
    rngs=nnx.Rngs(0),
  )
  names = {
    first.split(".")[1]: se.squeeze,
    second.split(".")[1]: se.excite,
  }
  compare(case, se, names)


@golden_cases.parametrize(EVAL, "pokeconv")
def test_pokeconv_eval(case):
  check_pokeconv(case)


@golden_cases.parametrize(TRAIN, "pokeconv")
def test_pokeconv_train(case):
  check_pokeconv(case)


def check_pokeconv(case):
  key = next(k for k in case.arrays if k.startswith("p.conv-"))
  name = key.split(".")[1].removeprefix("conv-")
  kernel, x, y = case[key], case["x"], case["y"]
  dtype = dtype_of(case)
  conv = PokeConv(
    kernel.shape[2],
    kernel.shape[3],
    kernel.shape[:2],
    strides=x.shape[1] // y.shape[1],
    closing="r1" in case,
    bits=PokeBits(start=0, dtype=dtype),
    rngs=nnx.Rngs(0),
  )
  names = {
    f"conv-{name}": conv.conv,
    f"bn{name}": conv.norm,
    "DPReLU_0": conv.dprelu,
    f"sefc1-{name}": conv.se.squeeze,
    f"sefc2-{name}": conv.se.excite,
    f"bn_split{name}": conv.out_norm,
  }
  compare(case, conv, names, ("x", "r1") if "r1" in case else ("x",))


@golden_cases.parametrize("pokebnn_init.npz", "pokeinit")
def test_pokeinit(case):
  first, second = case["p.init_conv.kernel"], case["p.init_conv_group.kernel"]
  stem = PokeInit(
    first.shape[2],
    first.shape[3],
    second.shape[3],
    patch=first.shape[0],
    bits=RECORDED,
    rngs=nnx.Rngs(0),
  )
  names = {
    "init_conv": stem.conv,
    "init_bn": stem.norm,
    "DPReLU_0": stem.dprelu,
    "init_conv_group": stem.group_conv,
    "init_bn_group": stem.group_norm,
    "DPReLU_1": stem.group_dprelu,
  }
  compare(case, stem, names)


def test_closing_convolution_starts_at_zero():
  conv = PokeConv(16, 16, (1, 1), closing=True, rngs=nnx.Rngs(0))
  np.testing.assert_array_equal(conv.norm.scale[...], np.zeros(16))


def test_squeeze_excite_needs_eight_channels():
  with pytest.raises(
    ValueError, match=r"divides its channels by 8.*got only 4"
  ):
    SqueezeExcite(4, 8, rngs=nnx.Rngs(0))
