"""The other public functions: packing, tags, progress, schedules, count."""

import dataclasses
import functools
import random
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import bnnjax as bx
from bnnjax.core import progress, registry
from bnnjax.core.schedule import Annealed

WRONG = (
  None, True, -1, 0, 1.5, 3, "x", "", (), [1.0], {}, 1j, b"x", object(), len,
  float("nan"), float("inf"), 10**30, -(10**30), np.array("x"), {1}, ("a", 1),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Case:
  """A call: `make` may refuse it, `use` compares its result."""

  text: str
  make: Callable[[], Any]
  use: Callable[[Any], None]

  def __str__(self):
    return self.text[:400]


def draw(r: random.Random) -> Case:
  """A random call of a random function."""
  return r.choice(CALLS)(r)


def build(case: Case) -> Any:
  return case.make()


def use(case: Case, made: Any) -> None:
  case.use(made)


def _maybe(r: random.Random, right, share: float = 0.25):
  """The right value, or a wrong one."""
  return r.choice(WRONG) if r.random() < share else right


def _call(function, *args, **kwargs) -> str:
  given = [repr(a) if not isinstance(a, np.ndarray | jax.Array)
           else f"{a.dtype}{list(a.shape)}" for a in args]  # fmt: skip
  given += [f"{k}={v!r}" for k, v in kwargs.items()]
  name = getattr(function, "__qualname__", str(function))
  return f"{name}({', '.join(given)})"


def _array(r: random.Random) -> np.ndarray:
  shape = r.choice(((5,), (3, 40), (2, 33, 4), (0, 3), (1,), (8, 8), ()))
  dtype = r.choice(("float32", "float16", "int32", "int8", "bool"))
  x = np.random.default_rng(r.randrange(99)).integers(-2, 3, shape)
  return np.asarray(x).astype(dtype)


def _pack(r: random.Random) -> Case:
  array = _array(r)
  x = _maybe(r, r.choice((jnp.asarray, np.asarray))(array), 0.15)
  axis = _maybe(r, r.choice((-1, 0, 1, -2)), 0.15)
  word = _maybe(r, r.choice((8, 16, 32)), 0.15)

  def check(packed):
    size = int(word)
    moved = np.moveaxis(array >= 0, int(axis), -1)
    got = np.moveaxis(np.asarray(packed), int(axis), -1)
    bits = (got[..., None] >> np.arange(size, dtype=got.dtype)) & 1
    bits = bits.reshape(*got.shape[:-1], got.shape[-1] * size)
    n = moved.shape[-1]
    assert np.array_equal(bits[..., :n], moved), "other bits"
    assert not bits[..., n:].any(), "bits past the end"
    back = bx.unpack_signs(packed, n, axis=axis)
    want = np.where(array >= 0, 1, -1)
    assert np.array_equal(np.asarray(back), want), "does not come back"

  make = functools.partial(bx.pack_signs, x, axis=axis, word=word)
  return Case(_call(bx.pack_signs, x, axis=axis, word=word), make, check)


def _unpack(r: random.Random) -> Case:
  word = r.choice(("uint8", "uint16", "uint32"))
  words = np.random.default_rng(0).integers(0, 200, (3, 2)).astype(word)
  length = r.choice((1, 2)) * np.dtype(word).itemsize * 8 - r.choice((0, 3))
  x = _maybe(r, jnp.asarray(words), 0.2)
  if r.random() < 0.1:
    x = jnp.asarray(words).astype(r.choice((jnp.int32, jnp.float32, bool)))
  n = _maybe(r, length, 0.2)
  dtype = r.choice((jnp.float32, "bfloat16", jnp.int8, jnp.float32))
  dtype = _maybe(r, dtype, 0.15)

  def check(signs):
    assert signs.shape == (3, n), signs.shape
    assert signs.dtype == jnp.dtype(dtype), signs.dtype
    values = np.asarray(signs.astype(jnp.float32))
    assert set(np.unique(values)) <= {-1, 1}, "not signs"
    again = bx.pack_signs(signs, word=np.dtype(word).itemsize * 8)
    mask = np.asarray(bx.pack_signs(jnp.ones((3, n)),
                      word=np.dtype(word).itemsize * 8))  # fmt: skip
    assert np.array_equal(np.asarray(again), words & mask), "other words"

  make = functools.partial(bx.unpack_signs, x, n, dtype=dtype)
  return Case(_call(bx.unpack_signs, x, n, dtype=dtype), make, check)


def _tag(r: random.Random) -> Case:
  bits = _maybe(r, r.choice((1, 2, 4, 8, 1)))
  options = {}
  if r.random() < 0.5:
    options["role"] = _maybe(r, r.choice(("weight", "act")))
  if r.random() < 0.4:
    options["alphabet"] = _maybe(r, r.choice(((-1, 1), (0, 1), (-1, 0, 1))))
  if r.random() < 0.3:
    options["density"] = _maybe(r, r.choice((1, 0.5, 0.25)))
  if r.random() < 0.3:
    options["group"] = _maybe(r, r.choice((0, 1)))
  x = _maybe(r, np.sign(np.arange(-6.0, 6.0) + 0.5).reshape(4, 3), 0.15)
  x = jnp.asarray(x, jnp.float32) if isinstance(x, np.ndarray) and x.ndim else x

  def check(tagged):
    np.testing.assert_array_equal(np.asarray(tagged), np.asarray(x))
    if getattr(x, "shape", None) != (4, 3):
      return

    def dot(a, w):
      return a @ bx.tag(w, bits, **options)

    a = jax.ShapeDtypeStruct((5, 4), jnp.float32)
    got = bx.count(dot, a, jax.ShapeDtypeStruct((4, 3), jnp.float32))
    pair = (32, int(bits)) if options.get("role") == "act" else (int(bits), 32)
    want = 60 * options.get("density", 1)
    assert {k: float(v) for k, v in got.macs.items()} == {pair: want}, got.macs

  make = functools.partial(bx.tag, x, bits, **options)
  return Case(_call(bx.tag, x, bits, **options), make, check)


def _progress(r: random.Random) -> Case:
  steps = _maybe(r, r.choice((1, 10, 1000)))
  step = _maybe(r, r.choice((0, 1, 7)))
  epochs = _maybe(r, r.choice((1, 2.5, 10)))

  def check(got):
    assert got.step.dtype == jnp.int32
    assert np.isfinite(got.fraction), f"fraction {got.fraction}"
    assert np.isclose(got.fraction, int(step) / int(steps)), "fraction"
    want = int(step) * float(epochs) / int(steps)
    assert np.isclose(got.epoch, want), f"epoch {got.epoch}, not {want}"

  make = functools.partial(bx.Progress.at, step, steps, epochs)
  return Case(_call(bx.Progress.at, step, steps, epochs), make, check)


def _time(r: random.Random) -> Case:
  when = _maybe(r, r.choice((0, 5, 0.0, 0.25, 1.0, 100.0)), 0.4)

  def check(got):
    fraction = isinstance(when, float) and when <= 1
    want = round(when * 800) if fraction else int(when)
    assert got == want, (got, want)

  make = functools.partial(progress.to_step, when, 800)
  return Case(_call(progress.to_step, when, 800), make, check)


def _mode(r: random.Random) -> Case:
  now = _maybe(r, r.choice((None, bx.Progress.at(3, 10, 2.0))), 0.3)

  def check(mode):
    layer = bx.Linear(4, 3, weight="ste", act="ste", rngs=nnx.Rngs(0))
    y = layer(jnp.ones((2, 4)), mode)
    assert np.array_equal(y, layer(jnp.ones((2, 4)))), "another output"

  make = functools.partial(bx.Mode.training, now)
  return Case(_call(bx.Mode.training, now), make, check)


def _schedule(r: random.Random) -> Case:
  name = r.choice(registry.registered("schedule"))
  made = registry.get("schedule", name)
  near = {"start": 0.5, "end": 4.0, "ahead": 0.0, "at": 0.5, "before": 1.0,
          "after": 2.0}  # fmt: skip
  if name == "staircase":
    near |= {"start": 1, "end": 4}
  given = {
    k: _maybe(r, near.get(k, v), 0.3)
    for k, v in made.defaults.items()
    if r.random() < 0.7
  }
  hp = tuple(given.items())

  def check(annealed):
    full = {**made.defaults, **given}
    edges = ("before", "after") if name == "switch" else ("start", "end")
    first, last = (full[k] for k in edges)
    for fraction, want in ((0, first), (10, last)):
      mode = bx.Mode.training(bx.Progress.at(fraction, 10, 2.0))
      value = annealed.at(mode)
      assert np.isfinite(value), f"{value} at {fraction}/10"
      if name != "switch" or 0 < float(full["at"]) < 1:
        skip = name == "cosine" and full["ahead"]
        assert skip or np.isclose(value, want, rtol=1e-5), (value, want)
    assert np.isclose(annealed.at(bx.Mode()), last, rtol=1e-5), "deployed"

  make = functools.partial(Annealed, made, hp)
  return Case(f"{name}({given})", make, check)


def _sign(r: random.Random) -> Case:
  array = _array(r)
  x = _maybe(r, jnp.asarray(array), 0.2)
  at_zero = _maybe(r, r.choice((1, -1, 0, 1)), 0.2)

  def check(got):
    want = np.sign(array.astype(np.float64))
    want = np.where(want == 0, int(at_zero), want)
    if isinstance(x, jax.Array):
      values = np.asarray(got.astype(jnp.float32))
      assert np.array_equal(values, want), "other signs"

  make = functools.partial(bx.sign, x, at_zero)
  return Case(_call(bx.sign, x, at_zero), make, check)


def _parse(r: random.Random) -> Case:
  good = r.choice(("ste", "ste|channel_l1", "center > ste", None, "float",
                   "bireal", "reactnet"))  # fmt: skip
  spec, role = _maybe(r, good), _maybe(r, r.choice(("weight", "act")))
  options = {}
  if r.random() < 0.4:
    right = {
      "gradient": r.choice(("none", "multiply", "full")),
      "measure": r.choice(("latent", "transformed")),
      "start": r.choice((0, 0.5, 10)),
      "tag": r.random() < 0.5,
      "latent": True,
      "role": "act",
    }
    key = r.choice(list(right))
    options[key] = _maybe(r, right[key], 0.4)

  def check(made):
    assert made is None or made.role == role
    if made is not None and role == "weight":
      w = jnp.asarray(np.random.default_rng(0).normal(size=(8, 4)))
      got, _ = made.apply(w, *made.init(w))
      assert np.all(np.isfinite(got.dequantize())), "not finite"

  make = functools.partial(bx.parse, spec, role, **options)
  return Case(_call(bx.parse, spec, role, **options), make, check)


def _binarizer(r: random.Random) -> Case:
  ste = registry.get("estimator", "ste")
  given = {"estimator": _maybe(r, ste)}
  if r.random() < 0.6:
    right = registry.get("scale", "channel_l1")
    given["scale"] = _maybe(r, right)
  if r.random() < 0.4:
    given["estimator_hp"] = _maybe(r, (("clip", 1.25),))
  if r.random() < 0.3:
    given["transform"] = _maybe(r, registry.get("transform", "center"))

  def check(made):
    w = jnp.asarray(np.random.default_rng(0).normal(size=(8, 4)))
    assert np.all(np.isfinite(made(w))), "not finite"

  names = {k: getattr(v, "name", v) for k, v in given.items()}
  make = functools.partial(bx.Binarizer, **given)
  return Case(f"Binarizer({names})", make, check)


def _registered(r: random.Random) -> Case:
  kind = _maybe(r, r.choice(("estimator", "scale", "method", "model")), 0.4)

  def check(names):
    assert names == sorted(names)

  make = functools.partial(bx.registered, kind)
  return Case(_call(bx.registered, kind), make, check)


def _build(r: random.Random) -> Case:
  config = {"name": "mlp", "num_classes": 3, "image_shape": (4, 4, 1)}
  if r.random() < 0.3:
    key = r.choice((*config, "hidden", "nothing", "weight"))
    config[key] = r.choice(WRONG)
  if r.random() < 0.1:
    config.pop(r.choice(tuple(config)))
  given = _maybe(r, config, 0.15)
  rngs = _maybe(r, nnx.Rngs(0), 0.1)

  def check(model):
    y = model(jnp.ones((2, *config["image_shape"])))
    assert np.all(np.isfinite(y)), "not finite"

  make = functools.partial(bx.build, given, rngs=rngs)
  return Case(_call(bx.build, given, rngs=type(rngs)), make, check)


CALLS = (_pack, _pack, _unpack, _tag, _tag, _progress, _time, _mode, _schedule,
         _sign, _parse, _binarizer, _registered, _build)  # fmt: skip
