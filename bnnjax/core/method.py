"""A method: one paper, its presets and its citation."""

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any

from bnnjax.core import registry


@dataclasses.dataclass(frozen=True)
class Preset:
  """A spec string and options of its binarizer."""

  spec: str | None
  options: tuple[tuple[str, Any], ...] = ()


@dataclasses.dataclass(frozen=True)
class Method:
  """The choices of a paper.

  Attributes:
    name: as registered; the value of `method=` in a config, and itself a spec.
    paper: title, authors, year.
    arxiv: identifier.
    weight, act: presets of the two operands; a spec string is enough.
    output: scale of a layer's output, see `bnnjax.layers.output_scale`.
    grad: quantizer of a layer's gradients, see `bnnjax.core.gradient_quantizer`.
    projection: name of a function of latent weights, applied after each update.
    family: networks that the paper binarizes: `"cnn"`, `"transformer"` or
      `"llm"`; configs and sweeps of one family use its methods.
    attention: arguments of `bnnjax.layers.attention.Attention` for the paper's
      attention: binarizers of queries, keys, values and probabilities, the
      mixer, the residual.
    embedding: preset of a word embedding.
    events: loop events of the recipe, `((when, name), ...)`.
  """

  name: str
  paper: str
  arxiv: str
  weight: "Preset | str | None" = None
  act: "Preset | str | None" = None
  output: str | None = None
  grad: str | None = None
  projection: str | None = None
  family: str = "cnn"
  attention: Mapping[str, Any] = dataclasses.field(
    default_factory=dict, hash=False
  )
  embedding: "Preset | str | None" = None
  events: tuple[tuple[float | int, str], ...] = ()

  def __post_init__(self):
    for role in ("weight", "act", "embedding"):
      preset = getattr(self, role)
      if not isinstance(preset, Preset):
        object.__setattr__(self, role, Preset(preset))


def method(name: str, **fields: Any) -> Method:
  """Makes a method and registers it."""
  origin = registry.calling_module()
  if fields.pop("blocks", None) is not None:
    warnings.warn(
      "Nothing reads `blocks=` of a method: the next version raises an error.",
      DeprecationWarning,
      stacklevel=2,
    )
  return registry.register("method", name, origin=origin)(
    Method(name, **fields)
  )


def layer_options(name: str | None) -> dict[str, str]:
  """Options of a method for the layer that holds its weight binarizer.

  Args:
    name: name of a method (`Binarizer.method`), or `None`.

  Returns:
    `output` and `grad`, if the method has them.
  """
  if name is None:
    return {}
  found = registry.get("method", name)
  pairs = {"output": found.output, "grad": found.grad}
  return {key: value for key, value in pairs.items() if value is not None}
