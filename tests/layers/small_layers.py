"""A binary layer with a shortcut, to be stacked."""

from flax import nnx

from bnnjax.layers.linear import Linear
from bnnjax.layers.norm import BatchNorm


class Residual(nnx.Module):
  """A layer of a stack."""

  def __init__(self, rngs, method):
    low = {"weight": method, "act": method}
    self.linear = Linear(8, 8, **low, rngs=rngs)
    self.norm = BatchNorm(8, momentum=0.9, rngs=rngs)

  def __call__(self, x, mode=None, *, cache=None):
    return x + self.norm(self.linear(x, mode), mode)
