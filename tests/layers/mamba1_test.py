"""Mamba's selective scan against the recurrence in numpy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.layers.mamba1 import Mamba1, selective_scan
from tests.filled_models import filled


def oracle(x, dt, a, b, c, state):
  """Token by token, in float64."""
  h, y = np.float64(state), []
  for t in range(x.shape[1]):
    decay = np.exp(dt[:, t, :, None] * a)
    h = decay * h + (dt * x)[:, t, :, None] * b[:, t, None]
    y.append((h * c[:, t, None]).sum(-1))
  return np.stack(y, 1), h


def operands(length):
  rng = np.random.default_rng(length)
  normal = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
  x, dt = normal(2, length, 3), np.exp(normal(2, length, 3))
  b, c = normal(2, length, 4), normal(2, length, 4)
  return (x, dt, -np.exp(normal(3, 4)), b, c), normal(2, 3, 4)


@pytest.mark.parametrize(("length", "chunk"), [(1, 4), (7, 3), (8, 4), (5, 9)])
def test_scan_equals_the_recurrence(length, chunk):
  given, state = operands(length)
  run = jax.jit(functools.partial(selective_scan, chunk=chunk))
  y, after = run(*given, state=state)
  want, last = oracle(*given, state)
  np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(after, last, rtol=1e-5, atol=1e-5)


def test_gradient_does_not_depend_on_the_chunk():
  given, state = operands(6)

  def grads(chunk):
    loss = lambda state, *g: jnp.sum(  # noqa: E731
      jnp.sin(selective_scan(*g, chunk=chunk, state=state)[0])
    )
    return jax.jit(jax.grad(loss, argnums=tuple(range(6))))(state, *given)

  for got, want in zip(grads(2), grads(6)):
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_segments_equal_the_whole():
  """The cut is in the middle of a chunk."""
  options = {"state": 4, "chunk": 3, "weight": "fbi_llm"}
  block = filled(lambda rngs: Mamba1(16, **options, rngs=rngs))
  u = np.random.default_rng(0).normal(size=(2, 8, 16)).astype(np.float32)
  run = nnx.jit(lambda block, u, cache: block(u, cache=cache))
  want, after = run(block, u, block.cache(2))
  first, cache = run(block, u[:, :4], block.cache(2))
  second, cache = run(block, u[:, 4:], cache)
  got = np.concatenate([first, second], 1)
  np.testing.assert_allclose(got, want, atol=1e-5)
  for part, wanted in zip(jax.tree.leaves(cache), jax.tree.leaves(after)):
    np.testing.assert_allclose(part, wanted, atol=1e-5)
    assert part.dtype == jnp.float32


def test_bfloat16_keeps_the_state_in_float32():
  (x, dt, a, b, c), _ = operands(8)
  x, b, c = (jnp.asarray(t, jnp.bfloat16) for t in (x, b, c))
  y, state = jax.eval_shape(selective_scan, x, dt, a, b, c)
  assert (y.dtype, state.dtype) == (jnp.bfloat16, jnp.float32)


def test_errors():
  (x, dt, a, b, c), state = operands(5)
  with pytest.raises(ValueError, match="at least one token"):
    selective_scan(x[:, :0], dt[:, :0], a, b, c)
  with pytest.raises(ValueError, match="`chunk` must be at least 1, got 0"):
    selective_scan(x, dt, a, b, c, chunk=0)
  with pytest.raises(ValueError, match=r"must be \[C, N\].*got \(4, 3\)"):
    selective_scan(x, dt, a.T, b, c)
  with pytest.raises(ValueError, match=r"= \(2, 3, 4\), got \(2, 4, 3\)"):
    selective_scan(x, dt, a, b, c, state=state.swapaxes(1, 2))
