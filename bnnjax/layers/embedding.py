"""An embedding table whose rows may be low-bit."""

from typing import Any

import jax
from flax import nnx

from bnnjax.core import dot_and_conv
from bnnjax.core.progress import Mode
from bnnjax.core.quantized import Quantized
from bnnjax.layers.binarize import Binarize
from bnnjax.layers.contraction import Spec
from bnnjax.layers.variables import weight_variable
from bnnjax.layers.weight_module import (
  as_weight_module,
  check_returns_quantized,
)

INIT = nnx.initializers.truncated_normal(0.02)


class Embedding(nnx.Module):
  """Rows of a table that may be low-bit.

  The padding row is trained like any other; the authors' code of BiBERT and
  BiPFT keeps its gradient at 0.

  Args:
    entries, features: shape of the table.
    weight: binarizer of the table; or the table itself: a `Quantized`, or a
      module that returns one, see `bnnjax.layers.quantized_weight`.
    dtype: of the result.
    rngs: random numbers.

  Attributes:
    table: `[entries, features]`; `None` where `weight` holds it itself.
  """

  def __init__(
    self,
    entries: int,
    features: int,
    *,
    weight: "Spec | Quantized | nnx.Module" = None,
    dtype: Any = None,
    rngs: nnx.Rngs,
  ):
    home = as_weight_module(weight)
    if home is not None:
      check_returns_quantized("Embedding", home, (entries, features))
      self.weight, self.table = home, None
    else:
      table = INIT(rngs.params(), (entries, features))
      self.weight = Binarize(weight, "weight", table, preset="embedding")
      self.table = weight_variable(table, self.weight.binarizer, "row")
    self.dtype = dtype

  def __call__(self, ids: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[...] -> [..., features]`."""
    if self.table is None:
      rows = self.weight(mode).rows(ids)
      return rows.astype(self.dtype or rows.dtype).dequantize()
    table = self.table[...]
    table = self.weight(table.astype(self.dtype or table.dtype), mode)
    if isinstance(table, Quantized):
      table = table.dequantize()
    return table[ids]

  def attend(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """Products with all rows, `[..., features] -> [..., entries]`.

    With the float values of a latent table, if there is one, else with the
    low-bit terms.
    """
    if self.table is None:
      return dot_and_conv.dot(x, self.weight(mode).astype(x.dtype).T)
    return x @ self.table[...].T.astype(x.dtype)
