"""Models by name: `build({"name": "pokebnn", "width": 1.0}, rngs=...)`.

A model is an `nnx.Module` that is called as `model(x, mode)`. To add one, write
a file with a class and register it as kind "model"; `mlp` is the shortest.
"""

import collections
from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax import nnx

from bnnjax import (
  deprecated,
  methods,  # noqa: F401 (registers every preset)
)
from bnnjax.core import arguments, registry
from bnnjax.layers.binarize import Binarize
from bnnjax.layers.checks import check_array
from bnnjax.models import (  # noqa: F401 (registers them)
  alexnet,
  bert,
  decoder,
  densenet,
  mamba,
  meliusnet,
  mlp,
  mobilenet,
  pokebnn,
  quicknet,
  reactnet,
  resnet,
  unused_options,
  vgg,
  vit,
)

_DATA = {  # argument of a model: field of `config.data` that decides it
  "image_shape": "shape",
  "max_len": "shape",
  "num_classes": "num_classes",
  "vocab": "vocab",
}


def build(config: Mapping[str, Any], *, rngs: nnx.Rngs, **fixed: Any):
  """Builds a model from its config, and warns of binarizers that it ignores.

  Args:
    config: `name` and keyword arguments of the model.
    rngs: random numbers.
    **fixed: arguments that data and task decide (`num_classes`, `image_shape`);
      the model gets those that it takes.

  Returns:
    The model. Build large models under `jax.jit`, or see `abstract`.

  Raises:
    ValueError: unknown model, unknown argument (the message suggests the
      nearest), missing argument, or bad value.
    TypeError: `rngs` is not `nnx.Rngs`.
  """
  model = make(config, rngs=rngs, **fixed)
  unused_options.warn(
    config["name"], unused_options.specs(config, model), config
  )
  return model


def make(config: Mapping[str, Any], *, rngs: nnx.Rngs, **fixed: Any):
  """Like `build`, without the warning."""
  if not hasattr(config, "items") or "name" not in config:
    raise ValueError(
      f"A model's config is a mapping with a `name`, got {config!r}."
    )
  if not isinstance(config["name"], str):
    raise ValueError(f"A model's name is a string, got {config['name']!r}.")
  if not isinstance(rngs, nnx.Rngs):
    raise TypeError(f"`rngs` must be nnx.Rngs, got {rngs!r}.")
  given = {k: v for k, v in dict(config).items() if k != "name"}
  model = registry.get("model", config["name"])
  for key in given:
    if key in fixed:
      who = f"data (`data.{_DATA[key]}`)" if key in _DATA else "task"
      raise ValueError(
        f"`model.{key}` is decided by the {who}; leave it out of the model's"
        " config."
      )
  known = registry.accepts("model", config["name"])
  given.update((k, v) for k, v in fixed.items() if k in known)
  arguments.check(f"model {config['name']!r}", known, given)
  return model(**given, rngs=rngs)


class _OneKey(nnx.RngStream):
  """A stream of one key, for building shapes only.

  The counter of a real stream becomes a tracer under `nnx.eval_shape`, and each
  of its steps searches the whole program so far: seconds for 64 layers.
  """

  def __call__(self) -> jax.Array:
    return self.key[...]


def abstract(build: Callable[[nnx.Rngs], nnx.Module]) -> nnx.Module:
  """A module with shapes instead of arrays; nothing is allocated or drawn.

  Args:
    build: makes the module, e.g. `lambda rngs: models.build(config,
      rngs=rngs)`.

  Raises:
    ValueError: a variable is too large for any machine.
  """

  def make():
    rngs = nnx.Rngs(0)
    rngs.default = _OneKey(jax.random.key(0), tag="default")
    return build(rngs)

  module = nnx.eval_shape(make)
  for path, variable in nnx.iter_graph(module):
    if isinstance(variable, nnx.Variable):
      name = ".".join(map(str, path))
      check_array(f"{name!r} of the model", getattr(variable, "shape", ()))
  return module


def draws(model: nnx.Module) -> bool:
  """Whether a module holds a stream of random numbers, as dropout does."""
  return any(isinstance(m, nnx.RngStream) for _, m in nnx.iter_graph(model))


def required_events(model: nnx.Module) -> collections.Counter[str]:
  """Loop events that binarizers require, with the number that require each."""
  return collections.Counter(
    name
    for _, module in nnx.iter_modules(model)
    if isinstance(module, Binarize)
    for name in module.events
  )


def needs_data(model: nnx.Module, event: str) -> bool:
  """Whether any binarizer of the model learns from data at a loop event."""
  return any(
    isinstance(module, Binarize)
    and module.binarizer is not None
    and event in module.binarizer.data_events
    for _, module in nnx.iter_modules(model)
  )


def apply_event(model: nnx.Module, event: str) -> None:
  """Applies a loop event to every binarizer of the model, in place."""
  for _, module in nnx.iter_modules(model):
    if isinstance(module, Binarize):
      module.apply_event(event)


__getattr__ = deprecated.old_names(
  __name__,
  {"fire": "bnnjax.models.apply_event", "learns": "bnnjax.models.needs_data"},
)
