"""What `weight=` of a layer may be beside a spec: the weight itself."""

from collections.abc import Sequence
from typing import Any

from flax import nnx

from bnnjax.core.quantized import Quantized
from bnnjax.layers.binarize import Binarize
from bnnjax.layers.quantized_weight import QuantizedWeight


def as_weight_module(weight: Any) -> nnx.Module | None:
  """The module behind `weight=` of a layer, if it is no spec.

  Args:
    weight: a `Quantized`, a module that yields one, or a spec.

  Returns:
    A module called as `module(mode) -> Quantized`, or `None` for a spec.
  """
  if isinstance(weight, Quantized):
    return QuantizedWeight.of(weight)
  is_module = isinstance(weight, nnx.Module)
  return weight if is_module and not isinstance(weight, Binarize) else None


def check_yields(what: str, module: nnx.Module, shape: Sequence[int]) -> None:
  """Refuses a module that does not yield a `Quantized` of this shape.

  Raises:
    TypeError: it yields something else.
    ValueError: of another shape, or one that breaks an invariant.
  """
  try:
    got = nnx.eval_shape(lambda m: m(None), module)
  except (TypeError, AttributeError) as error:
    got = error
  if not isinstance(got, Quantized):
    cause = got if isinstance(got, Exception) else None
    raise TypeError(
      f"`weight` of {what} is a module that yields a Quantized when it is called"
      f" with a mode, got {type(got).__name__} of {type(module).__name__}."
    ) from cause
  if tuple(got.shape) != tuple(shape):
    raise ValueError(
      f"`weight` of {what} has to be of shape {tuple(shape)}, got a Quantized of"
      f" {tuple(got.shape)}."
    )
