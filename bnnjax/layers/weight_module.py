"""The weight itself as `weight=` of a layer, instead of a spec."""

from collections.abc import Sequence
from typing import Any

from flax import nnx

from bnnjax.core.quantized import Quantized
from bnnjax.layers.binarize import Binarize
from bnnjax.layers.quantized_weight import QuantizedWeight


def as_weight_module(weight: Any) -> nnx.Module | None:
  """The weight module behind `weight=` of a layer, unless that is a spec.

  Args:
    weight: a `Quantized`, a module that returns one, or a spec.

  Returns:
    A module called as `module(mode) -> Quantized`, or `None` for a spec.
  """
  if isinstance(weight, Quantized):
    return QuantizedWeight.of(weight)
  is_module = isinstance(weight, nnx.Module)
  return weight if is_module and not isinstance(weight, Binarize) else None


def check_returns_quantized(
  what: str, module: nnx.Module, shape: Sequence[int]
) -> None:
  """Raises unless a module returns a `Quantized` of this shape.

  Raises:
    TypeError: it returns something else.
    ValueError: wrong shape, or a violated invariant.
  """
  try:
    got = nnx.eval_shape(lambda m: m(None), module)
  except (TypeError, AttributeError) as error:
    got = error
  if not isinstance(got, Quantized):
    cause = got if isinstance(got, Exception) else None
    raise TypeError(
      f"A module as `weight` of {what} must return a Quantized when called with"
      f" a mode, got {type(got).__name__} of {type(module).__name__}."
    ) from cause
  if tuple(got.shape) != tuple(shape):
    raise ValueError(
      f"`weight` of {what} must have shape {tuple(shape)}, got a Quantized of"
      f" {tuple(got.shape)}."
    )
