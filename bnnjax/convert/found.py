"""Layers of flax in a model: where they are, and when the model calls them."""

import dataclasses
from typing import Any

from flax import nnx
from jax import lax

from bnnjax.convert import kernels as kernels_lib
from bnnjax.convert import layers as layers_lib
from bnnjax.convert import non_negative
from bnnjax.convert.kernels import Kernel
from bnnjax.convert.layers import Kind
from bnnjax.convert.low_bit import LowBit
from bnnjax.cost import counting, trace
from bnnjax.cost.report import Report
from bnnjax.cost.trace import Traced
from bnnjax.cost.variables import Stored
from bnnjax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Found:
  """A layer of a model.

  Attributes:
    path: dotted.
    layer: the module.
    kind: what it is.
    kernel_path: of its kernel in states and cost reports; if the kernel is tied,
      it is under another layer.
  """

  path: str
  layer: nnx.Module
  kind: Kind
  kernel_path: str

  @property
  def kernel(self) -> nnx.Variable:
    """The variable of the kernel."""
    return getattr(self.layer, self.kind.kernel)

  @property
  def held(self) -> Any:
    """What the layer calls for its operation."""
    return getattr(self.layer, self.kind.place)

  @property
  def is_binarized(self) -> bool:
    """Whether `binarize` has converted the layer."""
    return isinstance(self.held, LowBit)


def layers(model: nnx.Module) -> list[Found]:
  """Layers of flax in a module, each once, in the order of the state.

  Raises:
    UserError: two have the same path.
  """
  nodes = [(".".join(map(str, p)), x) for p, x in nnx.iter_graph(model)]
  paths = {id(x): path for path, x in nodes if isinstance(x, nnx.Variable)}
  found: dict[str, Found] = {}
  for path, module in nodes:
    kind = next(
      (k for k in layers_lib.KINDS if isinstance(module, k.layer)), None
    )
    if kind is None:
      continue
    if path in found:
      raise UserError(
        f"Two layers have the path {path!r}: rename a key with a dot in it."
      )
    kernel = getattr(module, kind.kernel)
    found[path] = Found(path, module, kind, paths.get(id(kernel), ""))
  return [*found.values()]


def traced(model: nnx.Module, example, options) -> tuple[list[str], Traced]:
  """Paths of the layers whose operation runs, call by call, and the trace.

  Raises:
    UserError: the model does not take the example.
  """
  copy, calls = nnx.clone(model), []

  def recorded(path, operation):
    def run(*args, **kwargs):
      calls.append(path)
      return operation(*args, **kwargs)

    return run

  for layer in layers(copy):
    # A `LinearGeneral` has none until it is called.
    operation = layer.held or lax.dot_general
    place = nnx.static(recorded(layer.path, operation))
    setattr(layer.layer, layer.kind.place, place)
  return calls, _trace(copy, example, options)


def never_negative(traced: Traced) -> set[str]:
  """Paths of the kernels whose inputs are never negative, as after a ReLU."""
  inputs = [
    Kernel(x.path) if isinstance(x, Stored) else None for x in traced.inputs
  ]
  _, uses = kernels_lib.follow(traced.jaxpr, inputs)
  return non_negative.kernels(traced.jaxpr, uses)


def count(model: nnx.Module, example, options) -> Report:
  """The costs of a model in its deployed mode, without changing it.

  Raises:
    UserError: the model does not take the example.
  """
  return counting.of_trace(_trace(nnx.clone(model), example, options))


def _trace(model: nnx.Module, example, options) -> Traced:
  model.eval()
  try:
    return trace.trace(model, example, options, ())
  except (TypeError, ValueError) as error:
    raise UserError(str(error)) from error
