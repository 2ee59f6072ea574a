"""Schedules: ends, no retrace, and their place in a spec string."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core import registry
from bnnjax.core.progress import DEPLOYED, Mode, Progress
from bnnjax.core.schedule import Annealed, resolve
from bnnjax.core.spec import parse

SHAPES = registry.registered("schedule")
# Those that only exist between two whole numbers or in two steps.
ENDS = {"switch": ("before", "after")}


def annealed(name, **hp):
  return Annealed(registry.get("schedule", name), tuple(hp.items()))


@pytest.mark.parametrize("name", SHAPES)
def test_from_start_to_end(name):
  start, end = ENDS.get(name, ("start", "end"))
  made = annealed(name, **{start: 2, end: 5})
  values = [made.at(Mode.training(Progress.at(s, 10, 3.0))) for s in range(11)]
  np.testing.assert_allclose(values[0], 2, rtol=1e-6)
  np.testing.assert_allclose(values[-1], 5, rtol=1e-6)
  assert np.all(np.diff(values) >= 0)
  deployed = made.at(DEPLOYED)
  assert isinstance(deployed, float)
  np.testing.assert_allclose(deployed, 5, rtol=1e-6)


@pytest.mark.parametrize("name", SHAPES)
def test_values_at_half_time(name):
  want = {
    "linear": 1.5,
    "geometric": 2**0.5,
    "exponential": 1 + (np.exp(0.5) - 1) / (np.e - 1),
    "cosine": 1.5,
    "quarter_cosine": 2 - np.cos(np.pi / 4),
    "staircase": 1,
    "switch": 2,
  }[name]
  start, end = ENDS.get(name, ("start", "end"))
  one, two = (1, 2) if name == "staircase" else (1.0, 2.0)
  made = annealed(name, **{start: one, end: two})
  got = made.at(Mode.training(Progress.at(5, 10, 1.0)))
  np.testing.assert_allclose(got, want, rtol=1e-6)


def test_deployed_values_are_floats_inside_jit():
  made = annealed("linear", start=0.0, end=3.0)
  seen = []
  jax.jit(lambda x: seen.append(resolve({"k": made, "b": 1}, DEPLOYED)) or x)(1)
  assert seen == [{"k": 3.0, "b": 1}]


def test_any_number_of_a_spec_may_follow_the_run():
  made = parse("ste(clip=linear(start=0.5, end=2.0))", "weight")
  x = jnp.array([0.4, 1.0, 1.9])
  slope = lambda mode: jax.grad(lambda x: made(x, mode).sum())(x)  # noqa: E731
  at = lambda step: Mode.training(Progress.at(step, 3, 1.0))  # noqa: E731
  np.testing.assert_array_equal(slope(at(0)), [1, 0, 0])
  np.testing.assert_array_equal(slope(at(1)), [1, 1, 0])
  np.testing.assert_array_equal(slope(DEPLOYED), [1, 1, 1])


@pytest.mark.parametrize(
  ("spec", "message"),
  [
    ("ste(clip=linaer(start=0.0))", "Unknown schedule 'linaer'.*'linear'"),
    ("ste(clip=linear(begin=0.0))", "hyper-parameter of schedule 'linear'"),
    ("ste(clip=linear(0.0, 1.0))", "keyword=schedule"),
    ("ste(clip=linear(start=a))", "keyword=schedule"),
  ],
)
def test_errors(spec, message):
  with pytest.raises(ValueError, match=message):
    parse(spec, "weight")


def test_switch_at_a_step_is_deployed_at_its_end():
  """The end of a run lies after every step, however the time is given."""
  for at in (0.5, 500):
    made = parse(f"ste(clip=switch(at={at}, before=1.0, after=3.0))", "act")
    x = jnp.array([2.0])
    assert jax.grad(lambda x, m=made: m(x).sum())(x) == 1
