"""Run lengths through reshapes, against brute force."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bnnjax.cost import axes


def measured(x):
  """The axes along which `x` varies, with the longest aligned runs."""
  out = {}
  for d, size in enumerate(x.shape):
    moved = np.moveaxis(x, d, 0)
    if all(np.array_equal(moved[0], row) for row in moved):
      continue
    runs = [
      r
      for r in range(1, size + 1)
      if size % r == 0
      and all(np.array_equal(moved[i], moved[i - i % r]) for i in range(size))
    ]
    out[d] = max(runs)
  return out


def covers(claimed, truth):
  """Every variation is claimed, with runs that divide the true ones."""
  return all(d in claimed and run % claimed[d] == 0 for d, run in truth.items())


@st.composite
def reshapes(draw):
  factors = draw(st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=5))

  def grouped():
    cuts = draw(st.sets(st.integers(0, len(factors)), max_size=3).map(sorted))
    bounds = [0, *cuts, len(factors)]
    return [int(np.prod(factors[a:b])) for a, b in itertools.pairwise(bounds)]

  old, new = grouped(), grouped()
  vary = draw(st.sets(st.integers(0, len(old) - 1)))
  return old, new, vary


@settings(max_examples=150, deadline=None)
@given(reshapes())
def test_a_reshape_never_hides_a_variation(case):
  old, new, vary = case
  thin = [n if d in vary else 1 for d, n in enumerate(old)]
  x = np.arange(np.prod(thin)).reshape(thin)
  x = np.broadcast_to(x, old)
  claimed = axes.regroup(old, new)(measured(x))
  assert covers(claimed, measured(x.reshape(new)))


def test_groups_merge_and_split_exactly():
  merge = axes.regroup((2, 4, 5), (8, 5))
  assert merge({0: 1, 2: 1}) == {0: 4, 1: 1}
  assert merge({1: 1}) == {0: 1}
  split = axes.regroup((8, 5), (2, 4, 5))
  assert split({0: 4}) == {0: 1}
  assert split({0: 2}) == {0: 1, 1: 2}
  assert split({1: 1}) == {2: 1}


def test_empty_arrays_vary_everywhere():
  assert axes.regroup((0, 3), (3, 0))({0: 1}) == {0: 1, 1: 1}
