"""What is stored: types of variables, foreign modules, ties, masks, words."""

import dataclasses
import functools
from fractions import Fraction

import flax.linen as linen
import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from bnnjax.core import packing
from bnnjax.core.bits import BitTag, tag
from bnnjax.cost import count
from bnnjax.layers.variables import BinarizerStat, TrainingParam, TrainingRng

K, N = 320, 64


def shape(*dims, dtype="float32"):
  return jax.ShapeDtypeStruct(dims, dtype)


def roles(report):
  return {p.path: (p.role, p.bits) for p in report.parameters}


class Frozen(nnx.Variable):
  """A weight that is not trained any more."""


class Everything(nnx.Module):
  """One variable of every kind."""

  def __init__(self, rngs):
    self.kernel = Frozen(jnp.ones((8, 4), jnp.int8))
    self.scale = nnx.Variable(jnp.ones((4,), jnp.bfloat16))
    self.bound = BinarizerStat(jnp.ones(()))
    self.noise = TrainingParam(jnp.ones((5,)))
    self.gradient = TrainingRng(jnp.zeros((2,), jnp.uint32))
    self.key = nnx.Variable(jax.random.key(0))
    self.seen = nnx.Cache(jnp.ones((3, 3)))
    self.hidden = nnx.Intermediate(jnp.ones((3, 3)))
    self.rngs = rngs
    self.norm = nnx.BatchNorm(4, use_running_average=True, rngs=rngs)

  def __call__(self, x):
    w = self.kernel[...].astype(jnp.float32)
    y = jnp.clip(x, -self.bound[...], self.bound[...]) @ w
    return self.norm(y * self.scale[...]) + self.noise[...].sum()


def test_every_variable_is_stored_except_passing_ones():
  module = nnx.eval_shape(lambda: Everything(nnx.Rngs(0)))
  report = count(module, shape(2, 8))
  assert roles(report) == {
    "kernel": ("kernel", 8),
    "scale": ("other", 16),
    "bound": ("stat", 32),
    "norm.scale": ("bn", 32),
    "norm.bias": ("bn", 32),
    "norm.mean": ("bn_stat", 32),
    "norm.var": ("bn_stat", 32),
  }
  assert report.notes == []
  assert report.parameter_count == 32 + 4 + 2 * 4
  assert report.weight_bytes() == 32
  assert report.weight_bytes("deployed") == 32 + 4 * 2 + 4 + 4 * 4 * 4
  # Neither the bound nor the norm's statistics are a batch norm of `larq`.
  assert report.weight_bits("larq") == 32 * (32 + 4 + 2 * 4)


def test_metadata_says_what_a_type_does_not():
  class Net(nnx.Module):
    def __init__(self):
      self.w = nnx.Param(jnp.ones((8, 4)))
      self.ema = nnx.Variable(jnp.ones((8, 4)), deployed=False)
      self.peak = nnx.Variable(jnp.ones(()), statistic=True)

    def __call__(self, x):
      return x @ self.w[...] / self.peak[...]

  report = count(nnx.eval_shape(Net), shape(1, 8))
  assert roles(report) == {"w": ("kernel", 32), "peak": ("stat", 32)}
  assert report.parameter_count == 32


def test_a_cache_is_data():
  class Attend(nnx.Module):
    def __init__(self):
      self.keys = nnx.Cache(jnp.ones((6, 4)))

    def __call__(self, q):
      return q @ jnp.tanh(self.keys[...]).T

  report = count(nnx.eval_shape(Attend), shape(2, 4))
  assert report.elementwise == {"tanh": 24}
  assert not any(r.has_weight for r in report.rows)


def test_a_tied_kernel_is_one_and_both_layers_have_a_bias():
  class Tied(nnx.Module):
    def __init__(self, rngs):
      self.a, self.b = (nnx.Linear(8, 8, rngs=rngs) for _ in range(2))
      self.b.kernel = self.a.kernel

    def __call__(self, x):
      return self.b(self.a(x))

  module = nnx.eval_shape(lambda: Tied(nnx.Rngs(0)))
  report = count(module, shape(1, 8))
  assert roles(report) == {
    "a.bias": ("bias", 32),
    "a.kernel": ("kernel", 32),
    "b.bias": ("bias", 32),
  }
  assert report.weight_bytes("fracbnn_float32") == 4 * (64 + 8 + 8)
  graph, state = nnx.split(module)
  merged = lambda g, s, x: nnx.merge(g, s)(x)  # noqa: E731
  parts = count(merged, graph, state, shape(1, 8))
  assert parts.weight_bytes("deployed") == report.weight_bytes("deployed")


def test_a_kernel_that_is_read_transposed_is_stored_once():
  def autoencoder(w, x):
    sign = lambda w: jnp.where(w >= 0, 1.0, -1.0)  # noqa: E731
    return x @ tag(sign(w), 1) @ tag(sign(w.T), 1)

  report = count(autoencoder, shape(K, N), shape(2, K), params=0)
  assert report.weight_bits() == K * N
  two = lambda w, x: x @ tag(jnp.sign(w - 1), 1) + x @ tag(jnp.sign(w + 1), 1)  # noqa: E731
  assert (
    count(two, shape(K, N), shape(2, K), params=0).weight_bits() == 2 * K * N
  )


def masked_terms(w1, w8, mask, scales, x):
  """PB-LLM: 90 % at 1 bit, 10 % at 8 bits, a mask and its complement."""
  low = tag(jnp.sign(w1), BitTag(1, (-1, 1), density=Fraction(9, 10)))
  high = tag(jnp.round(w8), BitTag(8, density=Fraction(1, 10)))
  ones = functools.partial(tag, bits=1, alphabet=(0, 1))
  terms = low * ones(mask), high * ones(1 - mask)
  return sum((x @ t) * s for t, s in zip(terms, scales))


@pytest.mark.parametrize("dtype", ["float32", "bool", "int8"])
def test_masked_terms_store_their_mask_once(dtype):
  def f(w1, w8, mask, *rest):
    return masked_terms(w1, w8, mask.astype(w1.dtype), *rest)

  weights = shape(K, N), shape(K, N), shape(K, N, dtype=dtype)
  scales = [shape(1, N)] * 2
  report = count(f, *weights, scales, shape(4, K), params=(0, 1, 2, 3))
  assert report.macs == {(1, 32): 4 * K * N * 9 // 10, (8, 32): 4 * K * N // 10}
  assert [(p.role, p.bits) for p in report.parameters[:3]] == [
    ("kernel", Fraction(9, 10)),
    ("kernel", Fraction(4, 5)),
    ("mask", 1),
  ]
  bits = K * N * (9 + 8 + 10) // 10
  assert report.weight_bits() == bits
  assert report.weight_bits("deployed") == bits + 2 * N * 32
  assert report.bits_per_weight == pytest.approx(2.7 + 64 / K)
  assert report.kernel_count == 2 * K * N


def test_masks_that_come_from_the_weight_or_from_nowhere():
  def own(w, scales, x):
    return masked_terms(w, w, (jnp.abs(w) < 1).astype(w.dtype), scales, x)

  def declared(w1, w8, scales, x):
    low = tag(jnp.sign(w1), 1, density=Fraction(9, 10))
    high = tag(jnp.round(w8), 8, density=Fraction(1, 10))
    return (x @ low) * scales[0] + (x @ high) * scales[1]

  scales, x = [shape(1, N)] * 2, shape(4, K)
  report = count(own, shape(K, N), scales, x, params=(0, 1))
  assert report.bits_per_weight == pytest.approx(2.7 + 64 / K)
  two = shape(K, N), shape(K, N)
  report = count(declared, *two, scales, x, params=(0, 1, 2))
  assert report.bits_per_weight == pytest.approx(2.7 + 64 / K)
  assert report.weight_bits() == K * N * 17 // 10  # no mask in the program
  half = lambda w, x: x @ tag(w, 2, density=Fraction(1, 2))  # noqa: E731
  report = count(half, shape(K, N), x, params=0)
  assert report.bits_per_weight == 2


def test_packed_words_are_the_kernel():
  def f(words, x, length):
    signs = packing.unpack_signs(words, length, axis=0)
    return x @ tag(signs, 1, role="weight")

  words = shape(10, N, dtype="uint32")
  for length in (320, 300):
    report = count(f, words, shape(4, length), length, params=0)
    assert report.macs == {(1, 32): 4 * length * N}
    assert roles(report) == {"words": ("kernel", 32)}
    for convention in ("packed", "packed_rows", "deployed", "larq", "aqt"):
      assert report.weight_bytes(convention) == 4 * 10 * N
    assert report.bits_per_weight == pytest.approx(320 / length)


class Linen(linen.Module):
  @linen.compact
  def __call__(self, x):
    x = linen.BatchNorm(use_running_average=True)(linen.Conv(4, (3, 3))(x))
    kernel = linen.with_partitioning(linen.initializers.ones, (None, "a"))
    return linen.Dense(3, kernel_init=kernel)(x)


def test_variables_of_linen():
  x = shape(1, 8, 8, 2)
  model = Linen()
  variables = jax.eval_shape(model.init, jax.random.key(0), x)
  report = count(model.apply, variables, x)
  assert roles(report) == {
    "BatchNorm_0.mean": ("bn_stat", 32),
    "BatchNorm_0.var": ("bn_stat", 32),
    "BatchNorm_0.bias": ("bn", 32),
    "BatchNorm_0.scale": ("bn", 32),
    "Conv_0.bias": ("bias", 32),
    "Conv_0.kernel": ("kernel", 32),
    "Dense_0.bias": ("bias", 32),
    "Dense_0.kernel": ("kernel", 32),
  }
  assert report.weight_bytes("deployed") == 4 * (16 + 4 + 72 + 3 + 12)
  assert [r.path for r in report.rows] == ["Conv_0", "Dense_0"]
  assert "variables: read as variables of Linen" in report.notes[0]


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=("weight", "bias"),
  meta_fields=(),
)
@dataclasses.dataclass
class Affine:
  """A module as Equinox has them: a pytree that can be called."""

  weight: jax.Array
  bias: jax.Array

  def __call__(self, x):
    return self.product(x) + self.bias

  def product(self, x):
    return self.weight @ x


@pytest.mark.parametrize(
  "call",
  [
    lambda m, x: count(m, x),
    lambda m, x: count(m.product, x),
    lambda m, x: count(lambda m, x: m(x), m, x),
    lambda m, x: count(lambda d, x: d["layers"][0](x), {"layers": [m]}, x),
  ],
)
def test_foreign_modules(call):
  report = call(Affine(shape(5, 8), shape(5)), shape(8))
  assert report.macs == {(32, 32): 40}
  assert sorted(p.role for p in report.parameters) == ["bias", "kernel"]
  assert report.weight_bytes("deployed") == 4 * (40 + 5)
  assert report.notes == []


def test_unknown_parameters_are_said_to_be_unknown():
  def f(params, x):
    return x @ params["kernel"]

  params = {"kernel": shape(8, 4)}
  (note,) = count(f, params, shape(2, 8)).notes
  assert "unknown, not 0" in note
  assert count(f, params, shape(2, 8), params=0).notes == []
  kernel = jnp.ones((8, 4))
  (note,) = count(lambda x: x @ kernel, shape(2, 8)).notes
  assert note.startswith("128 bytes of arrays are closed over")
