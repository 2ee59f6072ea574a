"""A network of two layers and a batch norm, for tests of arguments and results."""

import pytest
from flax import nnx


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
