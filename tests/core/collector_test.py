"""What every registered collector keeps, and what each collects."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core import collector as collector_lib
from bnnjax.core import registry
from bnnjax.core.collector import collector, parse

NAMES = registry.registered("collector")
X = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
X[..., 2] = 0  # a channel of zeros


def collected(spec, *tensors):
  made = parse(spec)
  state = made.init(tensors[0].shape)
  for x in tensors:
    state = made.update(state, jnp.asarray(x))
  return state


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_state_keeps_its_shapes_and_dtypes(name, dtype):
  made = parse(name)
  state = made.init(X.shape)
  new = jax.jit(made.update)(state, jnp.asarray(X, dtype))
  old, got = (
    jax.tree.map(lambda s: (s.shape, s.dtype), s) for s in (state, new)
  )
  assert old == got
  for a, b in zip(
    jax.tree.leaves(new), jax.tree.leaves(made.update(state, X.astype(dtype)))
  ):
    np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "running_extremes"])
def test_batches_add_up(name):
  whole, halves = collected(name, X), collected(name, X[:1], X[1:])
  for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(halves)):
    np.testing.assert_allclose(a, b, rtol=1e-5)


def test_what_they_collect():
  rows = X.reshape(-1, 3)
  size = np.abs(rows)
  want = {
    "gram": {"gram": rows.T @ rows, "count": 20},
    "moments": {
      "sum": rows.sum(0),
      "magnitude": size.sum(0),
      "square": (rows**2).sum(0),
      "count": 20,
    },
    "extremes": {"max": rows.max(0), "min": rows.min(0)},
    "absmax": {"absmax": size.max(0)},
    "running_extremes(rate=0.5)": {
      "max": 0.5 * rows.max(0),
      "min": 0.5 * rows.min(0),
    },
  }
  assert {spec.partition("(")[0] for spec in want} == set(NAMES)
  for spec, state in want.items():
    got = collected(spec, X)
    assert got.keys() == state.keys()
    for name, value in state.items():
      np.testing.assert_allclose(got[name], value, rtol=1e-5, atol=1e-6)


def test_a_channel_of_zeros_keeps_its_averages():
  spec = "running_extremes(rate=0.5)"
  state = collected(spec, np.ones((2, 3)), X)
  assert state["max"][2] == 0.5
  with np.testing.assert_raises(AssertionError):
    np.testing.assert_array_equal(state["max"][:2], 0.5)


def test_ones_own_is_two_functions():
  try:

    @collector(init=lambda shape: jnp.zeros(()))
    def scaled_total(state, x, *, factor=1.0):
      """Sum of everything."""
      return state + factor * jnp.sum(x)

    assert parse("scaled_total") is parse(scaled_total) is scaled_total
    got = collected("scaled_total(factor=2.0)", X, X)
    np.testing.assert_allclose(got, 4 * X.sum(), rtol=1e-5)
  finally:
    registry.registered_table("collector").pop("scaled_total")


@pytest.mark.parametrize(
  ("spec", "error", "message"),
  [
    ("grams", ValueError, "Unknown collector 'grams'.*Did you mean 'gram'"),
    ("gram(rate=1)", ValueError, "hyper-parameter of collector 'gram'"),
    ("running_extremes(rate=2)", ValueError, "from 0 to 1 .0 excluded., got 2"),
    (
      "running_extremes(rate=linear(start=0.1, end=0.2))",
      ValueError,
      "has no progress: `rate`",
    ),
    (3, TypeError, "a registered name, a Collector, or None.*got 3"),
  ],
)
def test_errors(spec, error, message):
  with pytest.raises(error, match=message):
    collector_lib.parse(spec)
