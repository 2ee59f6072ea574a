"""Parameters on their way to contractions."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from bnnjax.convert import kernels
from bnnjax.convert.kernels import SLICED, UNSTACKED, Kernel


def uses(fn, w, x):
  """What `follow` finds when the first argument of `fn` is a kernel."""
  shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in (w, x)]
  jaxpr = jax.make_jaxpr(fn)(*shapes)
  return kernels.follow(jaxpr, [Kernel("w"), None])[1]


def steps(use):
  return [getattr(s.primitive, "name", s.primitive) for s in use.kernel.steps]


@jax.custom_vjp
def own_rule(w, x):
  return x @ w


own_rule.defvjp(lambda w, x: (x @ w, (w, x)), lambda r, g: (g, g))

SQUARE = (3, 3), (3, 3)


@pytest.mark.parametrize(
  ("fn", "wanted"),
  [
    (lambda w, x: x @ w, []),
    (lambda w, x: x @ w.astype(jnp.bfloat16), []),
    (lambda w, x: x @ lax.stop_gradient(w).T, ["transpose"]),
    (lambda w, x: x @ jnp.moveaxis(w, 0, 1)[None][0], ["transpose"]),
    (lambda w, x: x @ w.reshape(9, 1).reshape(3, 3), ["reshape", "reshape"]),
    (lambda w, x: x @ jax.jit(lambda w: w[::-1])(w), ["rev"]),
    (lambda w, x: x[:, :2] @ w[:2], ["slice"]),
    (lambda w, x: jax.checkpoint(lambda w: x @ w)(w), []),
    (lambda w, x: lax.map(lambda v: v @ w, x), []),
    (lambda w, x: lax.map(lambda v: x @ v, w), ["unstack"]),
    (lambda w, x: lax.cond(x[0, 0] > 0, lambda: x @ w, lambda: x), []),
  ],
)
def test_ways_to_a_contraction(fn, wanted):
  (use,) = uses(fn, *SQUARE)
  found = [s for s in steps(use) if s not in ("squeeze", "broadcast_in_dim")]
  assert (found, use.obstacle) == (wanted, "")


@pytest.mark.parametrize(
  "fn",
  [
    lambda w, x: x @ (w - w.mean()),
    lambda w, x: jnp.einsum("bi,bi->bi", x, w),
    lambda w, x: w[jnp.array([0, 1])] @ x,
    lambda w, x: x @ w.astype(jnp.int32),
    lambda w, x: lax.fori_loop(0, 3, lambda _, c: c @ c, w),
    lambda w, x: x @ jnp.broadcast_to(w[0], (3, 3)),
    lambda w, x: x + w,
  ],
)
def test_ends_of_a_way(fn):
  assert not uses(fn, *SQUARE)


@pytest.mark.parametrize(
  ("fn", "says"),
  [
    (own_rule, "inside `custom_vjp_call`"),
    (lambda w, x: jax.grad(lambda x: (x @ w).sum())(x), "a derivative"),
    (
      lambda w, x: lax.ragged_dot(x, w[None], jnp.array([3], jnp.int32)),
      "runs in `ragged_dot_general`",
    ),
    (
      lambda w, x: lax.platform_dependent(
        x, w, cpu=jnp.matmul, default=jnp.matmul
      ),
      "for one platform",
    ),
  ],
)
def test_obstacles(fn, says):
  found = uses(fn, *SQUARE)
  assert found
  assert all(says in use.obstacle for use in found)


def test_the_side_of_the_kernel():
  (left,) = uses(lambda w, x: lax.dot(w, x), (2, 3), (3, 4))
  assert left.side == 0
  jaxpr = jax.make_jaxpr(lax.dot)(*[jnp.ones(s) for s in ((2, 3), (3, 4))])
  (both,) = kernels.follow(jaxpr, [Kernel("a"), Kernel("b")])[1]
  assert (both.kernel.path, both.side) == ("b", 1)


def test_a_carry_that_no_step_changes_is_followed():
  def fn(w, x):
    step = lambda c, _: ((c[0], c[1] @ c[0]), None)  # noqa: E731
    (kept, x), _ = lax.scan(step, (w, x), length=2)
    _, x = lax.while_loop(
      lambda c: c[1][0, 0] < 0, lambda c: (c[0], c[1] @ c[0]), (kept, x)
    )
    return x

  assert [use.kernel for use in uses(fn, *SQUARE)] == [Kernel("w")] * 2


def test_a_kernel_in_parts():
  assert Kernel("w", (SLICED,)).is_part
  assert not Kernel("w", (UNSTACKED,)).is_part
