"""A multi-layer perceptron with binary hidden layers."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.progress import Mode
from bnnjax.layers.linear import Linear, Spec
from bnnjax.layers.norm import BatchNorm


@registry.register("model", "mlp")
class MLP(nnx.Module):
  """Binary linear layers, each with a batch norm, and a float classifier.

  As in BNN (1602.02830), each norm feeds the sign of the next layer directly,
  without a ReLU. The input of the first layer is float. With `act=None` the
  network is linear, and no float baseline.

  Args:
    num_classes: outputs.
    image_shape: shape of one example; it is flattened.
    hidden: widths of the hidden layers.
    weight, act: binarizers of the hidden layers.
    dtype: of the computation.
    rngs: random numbers.
  """

  def __init__(
    self,
    num_classes: int,
    image_shape: Sequence[int],
    *,
    hidden: Sequence[int] = (256, 256),
    weight: Spec = "ste",
    act: Spec = "ste",
    dtype: Any = None,
    rngs: nnx.Rngs,
  ):
    sizes = (math.prod(image_shape), *hidden)
    self.layers = nnx.List(
      Linear(
        n,
        m,
        weight=weight,
        act=act if i else None,
        use_bias=False,
        dtype=dtype,
        rngs=rngs,
      )
      for i, (n, m) in enumerate(zip(sizes, hidden))
    )
    self.norms = nnx.List(
      BatchNorm(m, momentum=0.9, dtype=dtype, rngs=rngs) for m in hidden
    )
    self.head = Linear(sizes[-1], num_classes, dtype=dtype, rngs=rngs)

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[N, ...] -> [N, num_classes]`; inputs are flattened."""
    x = jnp.reshape(x, (x.shape[0], -1))
    for layer, norm in zip(self.layers, self.norms):
      x = norm(layer(x, mode), mode)
    return self.head(x, mode)
