"""Programs with other contractions in the place of their own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from bnnjax.convert.interpreter import Interpreter
from bnnjax.convert.kernels import Kernel


def in_a_scan(dot, w, x):
  step = lambda c, v: (jnp.tanh(dot(c, v)), c.sum())  # noqa: E731
  c, sums = lax.scan(step, x, w, reverse=True, unroll=2)
  return c + sums.sum()


def in_a_scan_over_data(dot, w, x):
  return lax.scan(
    lambda c, v: (jnp.sin(dot(c + v, w[0])), None), x, x[:, None]
  )[0]


def in_nested_scans_with_remat(dot, w, x):
  @jax.checkpoint
  def step(c, v):
    return lax.scan(lambda c, _: (jax.nn.gelu(dot(c, v)), None), c, length=2)

  return lax.scan(step, x, w)[0]


def in_a_loop(dot, w, x):
  return lax.fori_loop(0, 2, lambda i, c: jnp.sin(dot(c, w[i])), x)


def in_branches(dot, w, x):
  branches = [lambda x: x, lambda x: dot(x, w[0]), lambda x: dot(2 * x, w[1])]
  index = (x[0, 0] > 0).astype(int) + 1
  return lax.switch(index, branches, x)


def in_calls(dot, w, x):
  half = jax.jit(lambda w, x: jax.nn.relu(dot(x, w)) / 2)
  return jax.vmap(lambda v: half(w[0], v))(x)


def after_a_custom_rule(dot, w, x):
  x = jax.nn.silu(jax.nn.relu(x))
  return jnp.linalg.norm(dot(x, w[1])) + jnp.cumsum(x)


FUNCTIONS = [
  in_a_scan,
  in_a_scan_over_data,
  in_nested_scans_with_remat,
  in_a_loop,
  in_branches,
  in_calls,
  after_a_custom_rule,
]


def rewrite(use, left, right, own):
  """The product, cubed."""
  del own
  dims = use.eqn.params["dimension_numbers"]
  return lax.dot_general(left, right, dims) ** 3


@pytest.mark.parametrize("fn", FUNCTIONS)
def test_values_and_gradients_are_those_of_the_new_contraction(fn):
  w = jax.random.normal(jax.random.key(0), (3, 2, 2))
  x = jax.random.normal(jax.random.key(1), (2, 2))

  def run(w, x):
    jaxpr = jax.make_jaxpr(lambda w, x: fn(jnp.matmul, w, x))(w, x)
    kernels = [Kernel("w"), None]
    return Interpreter(rewrite).run(jaxpr, (w, x), kernels, {})[0]

  def loss(f):
    return jax.value_and_grad(lambda *a: jnp.sum(f(*a)), (0, 1))

  wanted = loss(lambda w, x: fn(lambda a, b: jnp.matmul(a, b) ** 3, w, x))
  found, wanted = jax.jit(lambda *a: (loss(run)(*a), wanted(*a)))(w, x)
  for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted)):
    np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6)


def test_what_was_learned_is_sliced_with_its_kernel():
  w, x = jnp.ones((3, 2, 2)), jnp.ones((1, 2))
  jaxpr = jax.make_jaxpr(
    lambda w, x: lax.scan(lambda c, v: (c @ v, None), x, w)[0]
  )(w, x)
  scaled = lambda use, a, b, own: a @ b * own["scale"]  # noqa: E731
  learned = {"w": {"scale": jnp.array([2.0, 3.0, 5.0])}}
  (y,) = Interpreter(scaled).run(jaxpr, (w, x), [Kernel("w"), None], learned)
  np.testing.assert_array_equal(y, np.full((1, 2), 2.0**3 * 30))


def test_a_while_loop_and_its_condition():
  def fn(w, x):
    return lax.while_loop(lambda c: (c @ w).sum() < 9, lambda c: c @ w, x)

  w, x = jnp.eye(2), jnp.ones((1, 2))
  jaxpr = jax.make_jaxpr(fn)(w, x)
  doubled = lambda use, a, b, own: 2 * (a @ b)  # noqa: E731
  (y,) = Interpreter(doubled).run(jaxpr, (w, x), [Kernel("w"), None], {})
  np.testing.assert_array_equal(y, [[4.0, 4.0]])  # 2 * 8 is no longer below 9


def test_the_shardings_of_a_jit_remain():
  mesh = jax.make_mesh((1,), ("d",))
  sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("d"))
  inner = jax.jit(lambda w, x: x @ w, out_shardings=sharding)
  w, x = jnp.eye(2), jnp.ones((2, 2))
  jaxpr = jax.make_jaxpr(inner)(w, x)

  same = lambda use, a, b, own: a @ b  # noqa: E731
  (y,) = Interpreter(same).run(jaxpr, (w, x), [Kernel("w"), None], {})
  assert y.sharding == sharding
