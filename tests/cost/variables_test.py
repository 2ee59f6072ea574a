"""Which variables are parameters, statistics, state or data."""

import dataclasses
import functools

import flax.linen as linen
import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from bnnjax.cost import count
from bnnjax.layers.variables import BinarizerStat, TrainingParam, TrainingRng


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
