"""Declared work: the identity under every transformation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core.declared_cost import counted_as


def test_a_declaration_changes_no_number():
  def plain(x, y):
    return {"out": jnp.sin(x @ y), "n": 3 * x}

  declared = counted_as(plain, 7)
  rng = np.random.default_rng(0)
  x, y, dx, dy = (jnp.asarray(rng.normal(size=(4, 4))) for _ in range(4))
  for f in (jax.jit, lambda f: f):
    got = jax.jvp(f(declared), (x, y), (dx, dy))
    want = jax.jvp(plain, (x, y), (dx, dy))
    jax.tree.map(np.testing.assert_array_equal, got, want)
  scalar = lambda f: lambda x, y: f(x, y)["out"].sum()  # noqa: E731
  for made in (jax.grad, jax.hessian, lambda f: jax.grad(jax.checkpoint(f))):
    np.testing.assert_allclose(
      made(scalar(declared))(x, y), made(scalar(plain))(x, y), rtol=1e-6
    )
  got = jax.vmap(declared, in_axes=(0, None))(jnp.stack([x, dx]), y)
  want = jax.vmap(plain, in_axes=(0, None))(jnp.stack([x, dx]), y)
  jax.tree.map(np.testing.assert_array_equal, got, want)


@pytest.mark.parametrize(
  "fault", [{"macs": -1}, {"macs": 1, "length": 0}, {"macs": 1, "bits": (0, 1)}]
)
def test_impossible_declarations(fault):
  with pytest.raises(ValueError, match="`counted_as` takes macs >= 0"):
    counted_as(lambda x: x, **fault)
