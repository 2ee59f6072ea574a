"""Signs of a program's values, from its jaxpr alone."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx
from jax import lax

from bnnjax.convert import kernels, non_negative
from bnnjax.convert.kernels import Kernel
from bnnjax.core import spec

X = jnp.zeros((2, 4, 4))


def is_seen(before):
  """Whether the input of a contraction after `before` is never negative."""
  jaxpr = jax.make_jaxpr(lambda w, x: before(x) @ w)(jnp.ones((4, 2)), X)
  _, uses = kernels.follow(jaxpr, [Kernel("w"), None])
  assert len(uses) == 1
  return non_negative.kernels(jaxpr, uses) == {"w"}


def scanned(step, x):
  return lax.scan(lambda c, _: (step(c), None), x, length=3)[0]


def branches(one, other):
  return lambda x: lax.cond(x[0, 0, 0] > 0, one, other, x)


RELU = jax.nn.relu
NEVER_NEGATIVE = {
  "relu": RELU,
  "relu6": lambda x: jax.nn.relu6(x).astype(jnp.bfloat16).astype(jnp.float32),
  "clip": lambda x: jnp.clip(x, 0, 1),
  "sigmoid": jax.nn.sigmoid,
  "softmax": jax.nn.softmax,
  "square": lambda x: x * x + jnp.abs(x) + x**2,
  "residual": lambda x: RELU(x) + RELU(-x),
  "mean": lambda x: RELU(x).mean(1),
  "max_pool": lambda x: nnx.max_pool(RELU(x), (2,), (2,)),
  "avg_pool": lambda x: nnx.avg_pool(RELU(x), (2,), (2,), "SAME"),
  "layout": lambda x: jnp.pad(RELU(x).swapaxes(1, 2)[:, ::2], [(0, 1)] * 3)[
    ..., :4
  ],
  "concatenate": lambda x: jnp.concatenate([RELU(x), jnp.exp(x)]),
  "where": lambda x: jnp.where(x > 1, RELU(x) / 0.5, 0.0),
  "one_hot": lambda x: (x > 0).astype(jnp.float32),
  "remat": jax.checkpoint(jax.jit(RELU)),
  "cond": branches(RELU, jnp.exp),
  "scan": lambda x: scanned(lambda c: c + RELU(x), RELU(x)),
  "while": lambda x: lax.fori_loop(
    0, x.astype(int)[0, 0, 0], lambda i, c: c / 2, RELU(x)
  ),
}
UNKNOWN = {
  "input": lambda x: x,
  "leaky": jax.nn.leaky_relu,
  "gelu": jax.nn.gelu,
  "tanh": jnp.tanh,
  "cube": lambda x: x**3,
  "difference": lambda x: RELU(x) - 1,
  "half_residual": lambda x: x + RELU(x),
  "pad": lambda x: jnp.pad(RELU(x), 1, constant_values=-1)[..., :4],
  "product": lambda x: RELU(x) * -2.0,
  "clip": lambda x: jnp.clip(x, -1, 1),
  "where": lambda x: jnp.where(x > 1, RELU(x), -1.0),
  "cond": branches(RELU, jnp.tanh),
  # The first step starts at a ReLU, the second one does not.
  "scan": lambda x: scanned(lambda c: c - 1, RELU(x)),
  "unknown": lambda x: lax.sort(RELU(x)) - jnp.sin(RELU(x)),
}


@pytest.mark.parametrize("name", NEVER_NEGATIVE)
def test_never_negative(name):
  assert is_seen(NEVER_NEGATIVE[name])


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown(name):
  assert not is_seen(UNKNOWN[name])


def test_all_uses_of_a_kernel_count():
  """Also of one program that is called twice."""
  product = jax.jit(lambda x, w: x @ w)
  w, x = jnp.ones((4, 4)), jnp.ones((1, 4))

  def found(fn):
    jaxpr = jax.make_jaxpr(fn)(w, x)
    _, uses = kernels.follow(jaxpr, [Kernel("w"), None])
    return non_negative.kernels(jaxpr, uses)

  assert found(lambda w, x: product(RELU(x), w)) == {"w"}
  assert not found(lambda w, x: product(RELU(product(x, w)), w))

  def scan(w, x):
    return lax.scan(lambda c, w: (RELU(c @ w), 0), RELU(x), w[None])

  assert found(scan) == {"w"}


@pytest.mark.parametrize(
  ("act", "is_one"),
  [
    (None, False),
    ("ste", True),
    ("approx_sign|fixed", True),
    ("example_std > approx_sign", True),
    ("ste(at_zero=-1)", False),  # tells zeros from the rest
    ("shift > ste", False),
    ("center > ste", False),
    ("ste_heaviside", False),
    ("fda", False),
    ("dorefa", False),
  ],
)
def test_binarizers_with_one_value(act, is_one):
  binarizer = spec.parse(act, "act")
  assert non_negative.has_one_value(binarizer) == is_one
  jax.jit(lambda: non_negative.has_one_value(binarizer) or 0)()
