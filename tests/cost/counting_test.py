"""`count` on functions, modules and methods; what goes wrong and how."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from bnnjax.core.bits import tag
from bnnjax.cost import count


def shape(*dims, dtype=jnp.float32):
  return jax.ShapeDtypeStruct(dims, dtype)


class Net(nnx.Module):
  """Conv (1-bit weights), batch norm, dropout, linear."""

  def __init__(self, rngs):
    self.conv = nnx.Conv(3, 8, (3, 3), rngs=rngs)
    self.bn = nnx.BatchNorm(8, rngs=rngs)
    self.drop = nnx.Dropout(0.5, rngs=rngs)
    self.head = nnx.Linear(8, 4, rngs=rngs)

  def features(self, x, double=False):
    kernel = tag(jnp.sign(self.conv.kernel[...]), 1, role="weight")
    y = jax.lax.conv_general_dilated(
      x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    y = nnx.relu(self.bn(y)).mean((1, 2))
    return y + y if double else y

  def __call__(self, x):
    return self.head(self.drop(self.features(x)))


X = shape(2, 6, 6, 3)
CONV = 2 * 36 * 9 * 3 * 8
HEAD = 2 * 8 * 4


@pytest.fixture(scope="module")
def abstract():
  module = nnx.eval_shape(lambda: Net(nnx.Rngs(0)))
  module.eval()
  return module


def test_an_abstract_module(abstract):
  report = count(abstract, X)
  assert report.macs == {(1, 32): CONV, (32, 32): HEAD}
  assert [r.path for r in report.rows] == ["conv", "head"]
  assert report.rows[0].parameters == ("conv.kernel",)
  roles = {p.path: (p.role, p.bits) for p in report.parameters}
  assert roles == {
    "bn.bias": ("bn", 32),
    "bn.mean": ("bn_stat", 32),
    "bn.scale": ("bn", 32),
    "bn.var": ("bn_stat", 32),
    "conv.bias": ("bias", 32),
    "conv.kernel": ("kernel", 1),
    "head.bias": ("bias", 32),
    "head.kernel": ("kernel", 32),
  }
  assert report.parameter_count == 216 + 8 + 16 + 32 + 4


def test_modules_methods_and_modules_among_the_arguments(abstract):
  expected = count(abstract, X).macs
  assert count(abstract.__call__, X).macs == expected
  assert count(lambda m, x: m(x).sum(), abstract, X).macs == expected
  nested = count(lambda d, x: d["net"](x), {"net": abstract}, X)
  assert nested.macs == expected
  assert nested.rows[0].path == "net.conv"
  assert count(abstract.features, X, double=True).total_macs == CONV


def test_a_real_module_that_trains_is_not_changed():
  module = Net(nnx.Rngs(0))
  before = module.bn.mean[...]
  report = count(module, X)
  assert report.macs == {(1, 32): CONV, (32, 32): HEAD}
  assert (module.bn.mean[...] == before).all()


def test_training_a_module(abstract):
  def loss(module, x):
    return module(x).sum()

  def step(module, x):
    return nnx.value_and_grad(loss)(module, x)

  report = count(step, abstract, X)
  # The gradient stops at the sign, and at the input.
  assert report.total_macs == CONV + 3 * HEAD
  # Without the value, nothing needs the last product of the forward pass.
  gradient = count(lambda module, x: step(module, x)[1], abstract, X)
  assert gradient.total_macs == CONV + 2 * HEAD


def test_importing_cost_does_not_import_flax():
  code = (
    "import sys, bnnjax.cost; assert 'flax' not in sys.modules;"
    "assert 'rich' not in sys.modules; assert 'matplotlib' not in sys.modules"
  )
  subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
