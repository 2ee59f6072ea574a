"""Layers recorded from PyTorch (NCHW, OIHW), run as ours (NHWC, HWIO)."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from bnnjax.core.progress import DEPLOYED
from bnnjax.layers.linear import Conv, Linear
from tests import golden_cases

TOLERANCE = 1e-4  # float32 against the recorded float64


def channels_last(x: np.ndarray) -> np.ndarray:
  """`[N, C, *spatial] -> [N, *spatial, C]`."""
  return np.moveaxis(x, 1, -1)


def kernel(w: np.ndarray) -> np.ndarray:
  """`[O, I, *window] -> [*window, I, O]`, `[O, I] -> [I, O]`."""
  return np.moveaxis(w, (0, 1), (-1, -2))


def make(case: golden_cases.Case, weight, act, **options):
  """Our layer for a recorded conv or linear case, its parameters set."""
  w, b = kernel(case["w"]), case.get("b")
  sizes = {"use_bias": b is not None, "rngs": nnx.Rngs(0)}
  if case["x"].ndim > 2 and case["w"].ndim > 2:
    rank = w.ndim - 2
    pad = int(case.hyper("pad", default=0))
    layer = Conv(
      w.shape[-2],
      w.shape[-1],
      w.shape[:-2],
      strides=int(case.hyper("stride", default=1)),
      padding=((pad, pad),) * rank,
      weight=weight,
      act=act,
      **sizes,
      **options,
    )
  else:
    layer = Linear(*w.shape, weight=weight, act=act, **sizes, **options)
  layer.kernel[...] = jnp.asarray(w)
  if b is not None:
    layer.bias[...] = jnp.asarray(b)
  return layer


def check(case: golden_cases.Case, layer, mode=DEPLOYED, tolerance=TOLERANCE):
  """Compares forward, input, kernel and bias gradient."""
  spatial = case["x"].ndim > 2 and case["w"].ndim > 2
  turn = channels_last if spatial else np.asarray
  graphdef, params, rest = nnx.split(layer, nnx.Param, ...)
  params, rest = nnx.to_pure_dict(params), nnx.to_pure_dict(rest)

  def apply(params, x):
    return nnx.merge(graphdef, params, rest)(x, mode)

  x = jnp.asarray(turn(case["x"]))
  y, vjp = jax.vjp(apply, params, x)
  dparams, dx = vjp(jnp.asarray(turn(case["gy"]), y.dtype))
  golden_cases.check(y, turn(case["y"]), tolerance, "y")
  golden_cases.check(dx, turn(case["dx"]), tolerance, "dx")
  dw = dparams["kernel"]
  golden_cases.check(dw, kernel(case["dw"]), tolerance, "dw")
  if "db" in case and case.get("b") is not None:
    golden_cases.check(dparams["bias"], case["db"], tolerance, "db")
  return dparams
