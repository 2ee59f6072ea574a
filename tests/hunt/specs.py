"""Random specs, each in a layer that is run, differentiated and counted."""

import dataclasses
import random
import string
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import bnnjax as bx
from bnnjax.core import registry
from bnnjax.core.progress import DEPLOYED
from bnnjax.core.quantized import Quantized, as_quantized
from tests.hunt import values

# With float16 come small numbers only: it ends at 65,504.
DTYPES = (jnp.float32, jnp.float32, jnp.bfloat16, jnp.float16)
CONTENTS = ("normal", "normal", "zeros", "minus zeros", "dead", "ones", "tiny",
            "large", "whole", "sparse")  # fmt: skip
# Largest relative error of a contraction, of the sum of magnitudes.
TOLERANCE = {"float32": 1e-5, "bfloat16": 2e-2, "float16": 3e-3}


@dataclasses.dataclass(frozen=True)
class Case:
  """One input: the spec and everything around it."""

  spec: str
  role: str
  layer: str
  dtype: Any
  kernel: str
  x: str
  options: tuple[tuple[str, Any], ...] = ()

  def __str__(self):
    return (
      f"{self.spec[:200]!r} as {self.role} of {self.layer}, "
      f"{jnp.dtype(self.dtype).name}, kernel {self.kernel}, input {self.x}"
      + (f", {dict(self.options)}" if self.options else "")
    )


def draw(r: random.Random) -> Case:
  """A random case."""
  roll = r.random()
  if roll < 0.15:
    text = r.choice(registry.registered("method"))
  else:
    wild = roll > 0.6
    text = spec(r, wild)
  if r.random() < 0.12:
    text = noisy(r, text)
  return Case(
    text,
    r.choice(("weight", "act")),
    r.choice(("Linear", "Conv", "Grouped")),
    r.choice(DTYPES),
    r.choice(CONTENTS),
    r.choice(CONTENTS),
  )


def spec(r: random.Random, wild: bool) -> str:
  """`transform > estimator | scale` with random hyper-parameters."""
  text = part(r, "estimator", wild)
  if r.random() < 0.35:
    text = f"{part(r, 'transform', wild)} > {text}"
  if r.random() < 0.6:
    text = f"{text} | {part(r, 'scale', wild)}"
  return text


def part(r: random.Random, kind: str, wild: bool) -> str:
  name = r.choice(registry.registered(kind))
  defaults = registry.get(kind, name).defaults
  draw = values.anything if wild else values.sane
  given = {
    k: draw(r, k, v)
    for k, v in defaults.items()
    if (k in values.SMALL and k != "at_zero" and not wild) or r.random() < 0.4
  }
  if wild and r.random() < 0.1:
    given[r.choice(("clip", "size", "nothing", "self", "x", "scale"))] = "1.0"
  arguments = ", ".join(f"{k}={v}" for k, v in given.items())
  return f"{name}({arguments})" if arguments else name


def noisy(r: random.Random, text: str) -> str:
  """The text with a few characters changed, or nonsense."""
  roll = r.random()
  if roll < 0.1:
    return r.choice(
      (
        "",
        " ",
        ">",
        "|",
        "ste(clip=" + "-" * 5000 + "1)",
        "ste(clip=" + "(" * 300 + "1" + ")" * 300 + ")",
        "ste(clip=" + "[" * 120 + "]" * 120 + ")",
        "ste(" * 50 + ")" * 50,
        "ste|" * 20,
        "ste(clip=" + "9" * 5000 + ")",
        "x" * 10_000,
        "ste(**{'clip': 1})",
        "ste(*[1])",
        "ste(clip=1, clip=2)",
        "ste(clip=1)(clip=2)",
        "float | channel_l1",
        "float > ste",
        "ste\x00",
        "\ufeffste",
        "ste\n|\nchannel_l1",
        "sté",
        "ste(clip=1\\d)",
        "ste(clip='\\d')",
        "ste(clip=1is 2)",
        "ste(clip=0o9)",
        "ste(clip=1_000)",
        "ste(clip=__import__('os'))",
        "ste(clip=1;clip=2)",
        "ste(clip=linear(start=linear()))",
        "ste(clip=nothing())",
        "ste(clip=a.b())",
        "ste(clip=:=1)",
      )
    )
  for _ in range(r.randint(1, 3)):
    at = r.randrange(len(text) + 1)
    if r.random() < 0.5:
      text = text[:at] + text[at + 1 :]
    else:
      extra = r.choice("()|>=,.'\"-*{}[]:; \n\t\\#" + string.ascii_lowercase)
      text = text[:at] + extra + text[at:]
  return text


def content(kind: str, shape, dtype, seed: int) -> jax.Array:
  """A tensor of one kind; its last axis counts channels."""
  x = np.random.default_rng(seed).standard_normal(shape)
  half = jnp.dtype(dtype) == jnp.float16
  x = {
    "normal": x,
    "zeros": 0 * np.abs(x),
    "minus zeros": -0.0 * np.abs(x),
    "dead": x * (np.arange(shape[-1]) > 0),
    "ones": np.ones(shape),
    "tiny": x * (1e-4 if half else 1e-15),
    "large": x * (30 if half else 1e12),
    "whole": np.round(2 * x),
    "sparse": x * (np.arange(x.size).reshape(shape) % 7 == 0),
  }[kind]
  return jnp.asarray(x, jnp.float32).astype(dtype)


def shapes(case: Case) -> tuple[tuple[int, ...], dict[str, Any]]:
  """Input shape and arguments of the layer."""
  if case.layer == "Linear":
    return (2, 5, 8), {}
  return (2, 6, 5, 4), {"groups": 2 if case.layer == "Grouped" else 1}


def build(case: Case) -> nnx.Module:
  """The layer; what may be refused."""
  own = {case.role: case.spec, **dict(case.options), "rngs": nnx.Rngs(0)}
  shape, more = shapes(case)
  if case.layer == "Linear":
    return bx.Linear(shape[-1], 6, **own)
  return bx.Conv(shape[-1], 6, (3, 2), **more, **own)


def use(case: Case, layer: nnx.Module, counted: bool = False) -> None:
  """Runs forward, backward and the count, and compares."""
  shape, _ = shapes(case)
  x = content(case.x, shape, case.dtype, 1)
  # In the range of the input's type, which its gradient has.
  kernel = content(case.kernel, layer.kernel[...].shape, case.dtype, 2)
  layer.kernel[...] = kernel.astype(jnp.float32)
  y = layer(x)
  _check_forward(case, layer, x, y)
  _check_gradient(layer, x)
  if counted:
    _check_count(layer, x)


def _check_forward(case, layer, x, y):
  assert y.dtype == jnp.result_type(x, layer.kernel[...]), (y.dtype, x.dtype)
  assert np.all(np.isfinite(_wide(y))), "the output is not finite"
  kernel = layer.kernel[...].astype(y.dtype)
  a = as_quantized(layer.act(x.astype(y.dtype)))
  w = as_quantized(layer.weight(kernel))
  for q, latent, owner in ((a, x, layer.act), (w, kernel, layer.weight)):
    if owner.binarizer is not None:
      _check_values(q, latent, owner.binarizer)
  if layer.output is not None:
    return
  da, dw = _wide(_dense(a)), _wide(_dense(w))
  want, size = (
    _reference(layer, da, dw),
    _reference(layer, np.abs(da), np.abs(dw)),
  )
  error = np.abs(_wide(y) - want - _wide(layer.bias[...]))
  limit = TOLERANCE[jnp.dtype(y.dtype).name] * size + 1e-30
  assert np.all(error <= limit), (
    f"differs from the dense reference by {np.max(error - limit)}"
  )


def _check_values(q: Quantized, latent, made):
  assert q.shape == latent.shape
  if made.is_float:
    return
  (term,) = q.terms
  value = _wide(term.value)
  assert np.all(np.isfinite(value)), "values are not finite"
  if made.is_soft:
    assert term.kind is None
    return
  alphabet = made.estimator.alphabet
  if alphabet is not None:
    hp = dict(made.estimator_hp)
    if hp.get("at_zero", 1) != 0:
      assert set(np.unique(value)) <= set(alphabet), "outside the alphabet"
    if (
      made.estimator.forward is None
      and hp.get("at_zero", 1) == 1
      and made.transform is None
    ):
      want = np.where(_wide(latent) >= 0, 1, -1)
      assert np.array_equal(value, want), "is not the sign"
  else:
    assert np.array_equal(value, np.round(value)), "values are not whole"
    assert len(np.unique(value)) <= 2**term.kind.bits, "does not fit the width"
    if made.grid is not None:
      assert set(np.unique(value)) <= set(made.grid), "outside the grid"
  for name, array in (("scale", term.scale), ("shift", q.shift)):
    if array is not None:
      assert np.all(np.isfinite(_wide(array))), f"the {name} is not finite"


def _check_gradient(layer, x):
  """Every gradient is finite and has its parameter's dtype."""
  graph, *states = nnx.split(layer, nnx.Param, ...)
  params, rest = map(nnx.to_pure_dict, states)

  def loss(params, x, mode):
    y = nnx.merge(graph, params, rest)(x, mode)
    return jnp.mean(y.astype(jnp.float32))

  training = bx.Mode.training(bx.Progress.at(3, 10, 2.0))
  for mode in (DEPLOYED, training):
    with_grad = jax.value_and_grad(loss, argnums=(0, 1))
    value, grads = with_grad(params, x, mode)
    assert np.isfinite(value), f"loss is {value} (training: {mode.train})"
    given = jax.tree.leaves((params, x))
    for old, grad in zip(given, jax.tree.leaves(grads)):
      assert grad.dtype == old.dtype, f"gradient {grad.dtype} of {old.dtype}"
      assert np.all(np.isfinite(_wide(grad))), (
        f"gradient is not finite (training: {mode.train})"
      )


def _check_count(layer, x):
  """MACs and widths of a layer of one term an operand."""
  report = bx.count(layer, jax.ShapeDtypeStruct(x.shape, x.dtype))
  assert np.isfinite(report.ace)
  kernel = layer.kernel[...]
  operands = [
    as_quantized(layer.weight(kernel)),
    as_quantized(layer.act(x.astype(kernel.dtype))),
  ]
  if any(q.shift is not None or len(q.terms) > 1 for q in operands):
    return
  if layer.output is not None:
    return
  key = tuple(32 if q.terms[0].kind is None else q.terms[0].kind.bits
              for q in operands)  # fmt: skip
  outputs = layer(x).size
  want = outputs * kernel[..., 0].size
  if kernel.ndim == 2:
    assert report.macs == {key: want}, (report.macs, key, want)
  else:
    assert list(report.macs) == [key], (report.macs, key)
    assert report.total_macs <= want


def _reference(layer, a, w):
  """The dense layer without bias, float64 numpy."""
  if w.ndim == 2:
    return a @ w
  pads = [(0, 0), (1, 1), (0, 1), (0, 0)]  # SAME of a (3, 2) window
  a = np.pad(a, pads)
  high, wide = a.shape[1] - 2, a.shape[2] - 1
  groups = layer.groups
  out = np.zeros((a.shape[0], high, wide, w.shape[-1]))
  parts = zip(np.split(a, groups, -1), np.split(w, groups, -1))
  for g, (x, k) in enumerate(parts):
    n = k.shape[-1]
    for i in range(3):
      for j in range(2):
        window = x[:, i : i + high, j : j + wide]
        out[..., g * n : (g + 1) * n] += window @ k[i, j]
  return out


def _dense(q: Quantized) -> np.ndarray:
  total = sum(
    _wide(t.masked) * (1 if t.scale is None else _wide(t.full_scale))
    for t in q.terms
  )
  return total if q.shift is None else total + _wide(q.shift)


def _wide(x) -> np.ndarray:
  return np.asarray(jnp.asarray(x).astype(jnp.float32), np.float64)
