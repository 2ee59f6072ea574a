"""State space duality against the authors' code and against the recurrence."""

import functools
import re

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.cost import count
from bnnjax.layers.ssd import segsum, ssd, ssd_sequential, ssd_step
from tests import golden_cases

FILE = "mamba2_ssd.npz"
TOLERANCE = 1e-4
# Two heads a group of two; batch, tokens, heads, P, N.
SIZES = (2, 12, 4, 3, 5)


@functools.cache
def case(name):
  (found,) = golden_cases.load(FILE, name, separator=".")
  return found


def operands(seed, batch, length, heads, size, states, groups):
  """`x, a, b, c` and a state; some decays forget nearly everything."""
  rng = np.random.default_rng(seed)

  def normal(*shape):
    return rng.normal(size=shape).astype(np.float32)

  a = -np.exp(3 * normal(batch, length, heads) - 2)
  b, c = (normal(batch, length, groups, states) for _ in range(2))
  state = normal(batch, heads, size, states)
  return (normal(batch, length, heads, size), a, b, c), state


def far(got, want):
  """`max |got - want| / max |want|`."""
  got, want = (np.asarray(t, np.float32) for t in (got, want))
  assert got.shape == want.shape
  return np.max(np.abs(got - want)) / np.max(np.abs(want))


@pytest.mark.golden
def test_minimal_version():
  c = case("min")
  names = ("X", "A", "B", "C", "S0")
  block = int(c["block"])

  @jax.jit
  def run(*given):
    apply = lambda *g: ssd(*g[:4], chunk=block, state=g[4][:, 0])  # noqa: E731
    out, vjp = jax.vjp(apply, *given)
    grads = vjp((jnp.asarray(c["gY"]), jnp.asarray(c["gfinal"])))
    return out, grads, ssd(*given[:4], chunk=block)

  out, grads, without = run(*(jnp.asarray(c[name]) for name in names))
  for name, got in (
    *zip(("Y", "final"), out),
    *zip(("Y_noinit", "final_noinit"), without),
    *zip((f"g{name}" for name in names), grads),
  ):
    golden_cases.close(got, c[name], TOLERANCE, name)


@pytest.mark.golden
def test_sums_over_segments():
  c = case("segsum")
  golden_cases.close(jnp.exp(segsum(c["x"])), c["exp"], TOLERANCE)


@pytest.mark.golden
def test_with_step_sizes_and_groups():
  g = case("cmb")

  def apply(x, dt, rate, b, c, skip, bias):
    dt = jax.nn.softplus(dt + bias)
    y, _ = ssd(x * dt[..., None], rate * dt, b, c, chunk=int(g["chunk"]))
    return y + skip[:, None] * x

  @jax.jit
  def run(gy, *given):
    y, vjp = jax.vjp(apply, *given)
    return y, vjp(gy)

  names = ("x", "dt", "A", "B", "C", "D", "dt_bias")
  y, grads = run(*(jnp.asarray(g[name]) for name in ("gy", *names)))
  golden_cases.close(y, g["y"], TOLERANCE, "y")
  for name, got in zip(names, grads):
    golden_cases.close(got, g[f"g{name}"], TOLERANCE, f"g{name}")


@hypothesis.settings(
  max_examples=12, deadline=None, derandomize=True, database=None
)
@hypothesis.given(
  length=st.integers(1, 19),
  chunk=st.integers(1, 24),
  segment=st.integers(1, 3),
  groups=st.sampled_from((1, 2, 4)),
)
def test_chunks_equal_the_recurrence(length, chunk, segment, groups):
  """In float32 and with bfloat16 operands, decays and states float32."""
  given, state = operands(length, 2, length, 4, 3, 5, groups)

  @jax.jit
  def run(x, a, b, c, state):
    x16, b16, c16 = (t.astype(jnp.bfloat16) for t in (x, b, c))
    return (
      ssd_sequential(x, a, b, c, state=state),
      ssd(x, a, b, c, chunk=chunk, segment=segment, state=state),
      ssd(x16, a, b16, c16, chunk=chunk, segment=segment, state=state),
    )

  want, full, half = run(*given, state)
  for got, tolerance in ((full, 1e-5), (half, 2e-2)):
    assert far(got[0], want[0]) <= tolerance
    assert far(got[1], want[1]) <= tolerance
    assert got[1].dtype == jnp.float32
  assert (full[0].dtype, half[0].dtype) == (jnp.float32, jnp.bfloat16)


def test_recurrence_equals_steps_and_numpy():
  given, state = operands(0, *SIZES, 2)
  want, last = jax.jit(ssd_sequential)(*given, state=state)
  step, s = jax.jit(ssd_step), state
  x, a, b, c = (np.asarray(t, np.float64) for t in given)
  b, c = (np.repeat(t, 2, axis=2) for t in (b, c))
  by_hand = np.asarray(state, np.float64)
  for t in range(SIZES[1]):
    y, s = step(*(v[:, t] for v in given), s)
    decayed = np.exp(a[:, t])[..., None, None] * by_hand
    by_hand = decayed + x[:, t, ..., None] * b[:, t, :, None]
    out = (by_hand * c[:, t, :, None]).sum(-1)
    for got in (y, want[:, t]):
      np.testing.assert_allclose(got, out, rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(s, last, rtol=1e-5, atol=1e-6)


def test_decays_are_float32():
  x, b = (jnp.zeros((1, 8, 2, 3), jnp.bfloat16) for _ in range(2))
  a = jnp.zeros((1, 8, 2), jnp.bfloat16)
  text = str(jax.make_jaxpr(functools.partial(ssd, chunk=4))(x, a, b, b))
  assert "= exp" in text
  assert not re.search(r":bf16\[[\d,]*\] = (exp|cumsum)", text)
  # A scan's first result is the state that it carries, from segment to segment
  # and from chunk to chunk.
  carried = re.findall(r"\w+:(\w+)\[[\d,]*\][^=]*= scan", text)
  assert carried == ["f32", "f32"]


@pytest.mark.parametrize("cut", [8, 7])
def test_state_is_handed_over(cut):
  """To the bit at the end of a chunk of 4."""
  given, state = operands(1, *SIZES, 2)
  run = jax.jit(functools.partial(ssd, chunk=4, segment=2))
  want, last = run(*given, state=state)
  first, between = run(*(t[:, :cut] for t in given), state=state)
  second, after = run(*(t[:, cut:] for t in given), state=between)
  got = np.concatenate([first, second], 1)
  if cut % 4:
    assert far(got, want) <= 1e-5
    assert far(after, last) <= 1e-5
  else:
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(after, last)


def test_a_large_decay_costs_no_digits():
  """After one that forgets everything, small decays are as exact as before."""
  (x, a, b, c), _ = operands(2, 1, 16, 1, 3, 5, 1)
  a = np.full_like(a, -1e-2)
  a[:, 4] = -1e5
  run = jax.jit(functools.partial(ssd, chunk=16))
  y, _ = run(x, a, b, c)
  want, _ = run(*(t[:, 4:] for t in (x, a, b, c)))
  assert far(y[:, 4:], want) <= 1e-6


def test_memory_is_linear_in_tokens():
  def peak(length):
    x = jax.ShapeDtypeStruct((1, length, 2, 4), jnp.float32)
    a = jax.ShapeDtypeStruct(x.shape[:3], jnp.float32)
    b = jax.ShapeDtypeStruct((1, length, 1, 8), jnp.float32)
    run = lambda x, a, b: jax.grad(  # noqa: E731
      lambda x: ssd(x, a, b, b, chunk=8)[0].sum()
    )(x)
    return count(run, x, a, b).activation_bytes()

  assert peak(512) <= 2.1 * peak(256)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"x": (1, 0, 4, 3)}, "at least one token, got shape \\(1, 0, 4, 3\\)"),
    ({"a": (1, 6, 1)}, "must be \\[B, T, H\\] = \\(1, 6, 4\\).*\\(1, 6, 1\\)"),
    ({"b": (1, 5, 2, 5)}, "\\[B, T\\] = \\(1, 6\\): got \\(1, 5, 2, 5\\)"),
    ({"b": (1, 6, 3, 5), "c": (1, 6, 3, 5)}, "got 3 groups for 4 heads"),
    ({"state": (1, 4, 5, 3)}, "\\(1, 4, 3, 5\\), got \\(1, 4, 5, 3\\)"),
  ],
)
def test_errors(change, message):
  shapes = {
    "x": (1, 6, 4, 3), "a": (1, 6, 4), "b": (1, 6, 2, 5), "c": (1, 6, 2, 5),
    "state": (1, 4, 3, 5), **change,
  }  # fmt: skip
  given = {name: jnp.zeros(shape) for name, shape in shapes.items()}
  for run in (ssd, ssd_sequential):
    with pytest.raises(ValueError, match=message):
      run(**given)


def test_a_step_checks_its_state():
  (x, a, b, c), state = operands(0, *SIZES, 2)
  with pytest.raises(ValueError, match="must be .* got \\(1, 1, 1, 1\\)"):
    ssd_step(x[:, 0], a[:, 0], b[:, 0], c[:, 0], state[:1, :1, :1, :1])


@pytest.mark.parametrize("name", ["chunk", "segment"])
def test_nothing_is_empty(name):
  given, _ = operands(0, *SIZES, 2)
  with pytest.raises(ValueError, match=f"`{name}` must be at least 1, got 0"):
    ssd(*given, **{name: 0})
