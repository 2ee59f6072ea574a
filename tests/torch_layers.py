"""Layers recorded from PyTorch (NCHW, OIHW), run as ours (NHWC, HWIO)."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.progress import DEPLOYED, Mode
from bnnjax.core.spec import parse
from bnnjax.layers.conv import Conv
from bnnjax.layers.linear import Linear
from tests import golden_cases

TOLERANCE = 1e-4  # float32 against the recorded float64


def channels_last(x: np.ndarray) -> np.ndarray:
  """`[N, C, *spatial] -> [N, *spatial, C]`."""
  return np.moveaxis(x, 1, -1)


def kernel(w: np.ndarray) -> np.ndarray:
  """`[O, I, *window] -> [*window, I, O]`, `[O, I] -> [I, O]`."""
  return np.moveaxis(w, (0, 1), (-1, -2))


def without(case: golden_cases.Case, *names: str) -> golden_cases.Case:
  """The case without some of its arrays."""
  arrays = {k: v for k, v in case.arrays.items() if k not in names}
  return dataclasses.replace(case, arrays=arrays)


def flat_shape(flat: np.ndarray, out: int, inside: int) -> tuple[int, ...]:
  """`[out, inside, k, k]` of a square kernel that is stored as one column."""
  k = round((flat.size / (out * inside)) ** 0.5)
  assert flat.size == out * inside * k * k
  return (out, inside, k, k)


def sign_hp(case: golden_cases.Case, **hp) -> str:
  """Arguments of an estimator: `at_zero=0` where zeros were planted."""
  if case.has_zeros:
    hp["at_zero"] = 0
  return ", ".join(f"{k}={v!r}" for k, v in hp.items())


def check_elementwise(case, function, tolerance: float = 1e-5) -> None:
  """Compares `function(x)` and its gradient with `y` and `dx`."""
  y, vjp = jax.vjp(function, jnp.asarray(case["x"]))
  golden_cases.check(y, case["y"], 1e-6, "y")
  dx = vjp(jnp.asarray(case["gy"], y.dtype))[0]
  golden_cases.check(dx, case["dx"], tolerance, "dx")


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


def gradients(layer, x, gy, mode=DEPLOYED):
  """`(y, gradients of the parameters as a pure dict, dx)` of a layer."""
  graphdef, params, rest = nnx.split(layer, nnx.Param, ...)
  params, rest = nnx.to_pure_dict(params), nnx.to_pure_dict(rest)

  @jax.jit
  def run(params, x, gy):
    apply = lambda params, x: nnx.merge(graphdef, params, rest)(x, mode)  # noqa: E731
    y, vjp = jax.vjp(apply, params, x)
    return y, *vjp(gy.astype(y.dtype))

  return run(params, jnp.asarray(x), jnp.asarray(gy))


def check(case: golden_cases.Case, layer, mode=DEPLOYED, tolerance=TOLERANCE):
  """Compares forward, input, kernel and bias gradient; returns the others."""
  spatial = case["x"].ndim > 2 and case["w"].ndim > 2
  turn = channels_last if spatial else np.asarray
  y, dparams, dx = gradients(layer, turn(case["x"]), turn(case["gy"]), mode)
  golden_cases.check(y, turn(case["y"]), tolerance, "y")
  golden_cases.check(dx, turn(case["dx"]), tolerance, "dx")
  dw = dparams["kernel"]
  golden_cases.check(dw, kernel(case["dw"]), tolerance, "dw")
  if "db" in case and case.get("b") is not None:
    golden_cases.check(dparams["bias"], case["db"], tolerance, "db")
  return dparams


def check_block(case: golden_cases.Case, module, names, tolerance=5e-4):
  """Compares a block in training mode, given where its parameters are.

  Args:
    case: spatial `x`, `gy`, `y`, `dx`; `NAME` and `dNAME` for each parameter.
    module: called with `(x, mode)`.
    names: name in the case -> (variable path, shape of a flat kernel or None).
  """

  def ours(array, flat):
    array = array if flat is None else array.reshape(flat)
    return kernel(array) if array.ndim == 4 and array.shape[0] > 1 else array

  for name, (path, flat) in names.items():
    variable = module
    for part in path.split("."):
      variable = (
        variable[part]
        if isinstance(variable, dict)
        else getattr(variable, part)
      )
    value = jnp.asarray(ours(case[name], flat))
    variable[...] = value.reshape(variable.shape)
  x, gy = channels_last(case["x"]), channels_last(case["gy"])
  y, dparams, dx = gradients(module, x, gy, Mode.training())
  golden_cases.check(y, channels_last(case["y"]), tolerance, "y")
  golden_cases.check(dx, channels_last(case["dx"]), tolerance, "dx")
  for name, (path, flat) in names.items():
    got = dparams
    for part in path.split("."):
      got = got[int(part) if part.isdigit() else part]
    want = ours(case[f"d{name}"], flat).reshape(got.shape)
    golden_cases.check(got, want, tolerance, f"d{name}")
  left = {k for k in case.arrays if k[0] == "d" and k != "dx"}
  assert left == {f"d{name}" for name in names}, "gradients not compared"


def zero_at_zero(spec, role="act", **options):
  """The binarizer of a spec with the sign of its source: sign(0) = 0."""
  made = parse(spec, role, **options)
  if made is None or "at_zero" not in made.estimator.defaults:
    return made
  hp = (*made.estimator_hp, ("at_zero", 0))
  return dataclasses.replace(made, estimator_hp=hp)


def attention_options(name: str, **changed):
  """A method's arguments of `Attention`, its signs with sign(0) = 0."""
  given = {**registry.get("method", name).attention, **changed}
  low = ("query", "key", "value", "probs")
  return {k: zero_at_zero(v) if k in low else v for k, v in given.items()}


def variable(module, path: str):
  """The variable at a dotted path."""
  for part in path.split("."):
    is_item = part.isdigit() or isinstance(module, (dict, nnx.Dict))
    module = (
      module[int(part) if part.isdigit() else part]
      if is_item
      else getattr(module, part)
    )
  return module


def ours(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  """A torch parameter in our layout: matrices transposed, vectors reshaped."""
  array = array.T if array.ndim == 2 else array
  return array.reshape(shape)


def fill(module, arrays, names: dict[str, str]) -> None:
  """Sets variables from torch parameters; `names` maps to dotted paths."""
  for name, path in names.items():
    found = variable(module, path)
    found[...] = jnp.asarray(ours(arrays[name], found.shape))


def check_gradients(got, arrays, names: dict[str, str], tolerances) -> None:
  """Compares a pure dict of gradients with torch's.

  Args:
    got: pure dict.
    arrays: torch names to gradients.
    names: torch names to dotted paths.
    tolerances: of a name.
  """
  for name, path in names.items():
    found = leaf(got, path)
    want = ours(arrays[name], found.shape)
    golden_cases.close(found, want, tolerances(name), name)


def leaf(tree, path: str):
  """The leaf of a pure dict at a dotted path."""
  for part in path.split("."):
    tree = tree[int(part) if part.isdigit() else part]
  return tree
