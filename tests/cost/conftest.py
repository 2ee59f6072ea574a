"""Small networks and their report, for the tests that share them."""

import pytest
from flax import nnx

from tests.cost import small_network


class Net(nnx.Module):
  def __init__(self, rngs):
    self.first = nnx.Linear(8, 16, rngs=rngs)
    self.norm = nnx.BatchNorm(16, rngs=rngs)
    self.head = nnx.Linear(16, 2, rngs=rngs)

  def __call__(self, x):
    h = self.norm(self.first(x))
    self.hidden = nnx.Intermediate(h @ h.T)
    return self.head(h)


@pytest.fixture
def net():
  return nnx.eval_shape(lambda: Net(nnx.Rngs(0)))


@pytest.fixture
def report():
  return small_network.report()
