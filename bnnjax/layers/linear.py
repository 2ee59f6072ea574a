"""A linear layer whose operands may be low-bit."""

from typing import Unpack

import jax
from flax import nnx

from bnnjax import deprecated
from bnnjax.core import dot_and_conv
from bnnjax.core.progress import Mode
from bnnjax.layers import geometry as geometry_lib
from bnnjax.layers.contraction import Contraction, Options
from bnnjax.layers.contraction import Spec as Spec


class Linear(Contraction):
  """`y = output(x) * factor * (act(x') weight(kernel)) + bias`.

  `x', factor = prepare(x)`, which is `x, 1` by default.

  Args:
    in_features, out_features: sizes of the last axis before and after.
    rngs: random numbers; the key `params` is used.
    **options: `weight=`, `act=` and the other keywords of `Options`.

  Attributes:
    kernel: `[in_features, out_features]`, `LatentWeight` where binarized;
      `None` where `weight` holds the weight itself.

  Raises:
    ValueError: unknown spec, or an input with the wrong number of features.
  """

  def __init__(
    self,
    in_features: int,
    out_features: int,
    *,
    rngs: nnx.Rngs,
    **options: Unpack[Options],
  ):
    features, _ = geometry_lib.read_groups(in_features, out_features)
    super().__init__(
      features,
      features,
      rngs=rngs,
      **options,
    )

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[..., in_features] -> [..., out_features]`."""
    self._check(x, None)
    x, factor = self._prepared(x, mode)
    a, w, differs = self._operands(x, mode)
    y = dot_and_conv.dot(a, w, precision=self.precision)
    return self._finish(y, x, mode, differs, factor)


__getattr__ = deprecated.old_names(
  __name__, {"Conv": "bnnjax.layers.conv.Conv"}
)
