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


def test_two_bases_of_a_kernel_are_two_bits_and_sharing_is_not():
  def bases(w, x):
    first = jnp.sign(w)
    second = jnp.sign(w - 0.5 * first)
    return x @ tag(first, 1) + x @ tag(second, 1)

  def shared(w, x):
    return x @ tag(jnp.sign(w), 1) + (x + 1) @ tag(jnp.sign(w), 1)

  args = shape(8, 4), shape(2, 8)
  assert count(bases, *args, params=0).weight_bits() == 2 * 32
  assert count(shared, *args, params=0).weight_bits() == 32
  fused = lambda w, x: [x @ tag(jnp.sign(p), 1) for p in jnp.split(w, 2, 1)]  # noqa: E731
  assert count(fused, *args, params=0).weight_bits() == 32


def test_a_mask_is_stored_beside_its_weight():
  def f(w, mask, x):
    return x @ (tag(jnp.sign(w), 1) * tag(mask, 1, alphabet=(0, 1)))

  report = count(f, shape(8, 4), shape(8, 4), shape(2, 8), params=(0, 1))
  assert report.macs == {(1, 32): 64}
  assert [p.bits for p in report.parameters] == [1, 1]


def test_a_kernel_that_is_also_read_in_float_stays_float():
  args = shape(8, 4), shape(2, 8)
  both = lambda w, x: x @ tag(jnp.sign(w), 1) + x @ w  # noqa: E731
  assert count(both, *args, params=0).weight_bits() == 32 * 32


def test_embeddings():
  def f(table, w, i):
    return tag(jnp.sign(table), 1)[i] @ w

  report = count(f, shape(10, 8), shape(8, 4), shape(3, dtype=jnp.int32),
                 params=(0, 1))  # fmt: skip
  table, w = report.parameters
  assert (table.role, table.bits) == ("embedding", 1)
  assert (w.role, w.bits) == ("kernel", 32)
  assert report.weight_bits("bibert") == 80 + 32 * 32
  assert report.weight_bits("packed") == 32 * 32


def test_static_arguments_stay_python_values():
  def f(x, times, *, flag, name=None):
    assert isinstance(times, int)
    assert name == "a"
    return x @ x if flag else x * times

  assert count(f, shape(2, 2), 3, flag=True, name="a").total_macs == 8
  assert count(f, shape(2, 2), 3, flag=False, name="a").total_macs == 0


def test_params_of_functions_are_named_by_path():
  def f(params, x):
    return x @ params["layer"]["kernel"] + params["layer"]["bias"]

  params = {"layer": {"kernel": shape(3, 4), "bias": shape(4)}}
  report = count(f, params, shape(2, 3), params=0)
  assert [(p.path, p.role) for p in report.parameters] == [
    ("layer.bias", "bias"),
    ("layer.kernel", "kernel"),
  ]
  assert report.rows[0].path == "layer"


@pytest.mark.parametrize(
  ("fn", "hint"),
  [
    (lambda x: x[x > 0], "jnp.where"),
    (lambda x: x if x.sum() > 0 else -x, "lax.cond"),
    (lambda x: jnp.zeros(int(x[0, 0])), "data-dependent length"),
    (lambda x: jnp.nonzero(x)[0], "size="),
    (lambda x: x @ jnp.ones((7, 7)), "argument shapes"),
    (lambda x: x @ shape(2, 2), "as an argument of `count`"),
    (lambda x: x.shape.nothing, "AttributeError"),
  ],
)
def test_what_does_not_trace_says_what_to_change(fn, hint):
  with pytest.raises(
    ValueError, match=r"Cannot count .*<lambda>\(float32\[2, 2\]\)"
  ) as e:
    count(fn, shape(2, 2))
  assert hint in str(e.value)


def test_bad_arguments():
  with pytest.raises(TypeError, match=r"takes a function or an nnx\.Module"):
    count(3)
  with pytest.raises(ValueError, match=r"arguments 0 to 0, got 1"):
    count(lambda x: x, shape(2), params=1)


def test_importing_cost_does_not_import_flax():
  code = (
    "import sys, bnnjax.cost; assert 'flax' not in sys.modules;"
    "assert 'rich' not in sys.modules; assert 'matplotlib' not in sys.modules"
  )
  subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
