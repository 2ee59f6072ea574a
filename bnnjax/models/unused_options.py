"""Finds arguments of a model that have no effect.

A binarizer that no layer uses would be ignored silently, such as `act` of a
perceptron with one hidden layer, whose input is float. The check compares the
arguments with the layers of the built model, so that it covers any model.
"""

import functools
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.binarizer import Binarizer
from bnnjax.core.settings import same
from bnnjax.core.spec import parse
from bnnjax.layers.attention import Attention
from bnnjax.layers.binarize import Binarize

# Fields that decide what a binarizer computes; models set its start and tag.
_CORE = (
  "estimator", "scale", "transform",
  "estimator_hp", "scale_hp", "transform_hp",
)  # fmt: skip
_SPECS = ("act", "weight", "embedding", "attention")  # ends of argument names
_ACTS = ("query", "key", "value", "probs", "context")  # binarizers of attention
Build = Callable[[Mapping[str, Any], nnx.Rngs], nnx.Module]


def specs(settings: Mapping[str, Any], model: nnx.Module) -> dict[str, bool]:
  """Whether a layer uses each binarizer that a model was given.

  Args:
    settings: arguments of the model, with or without `name`.
    model: built from them; may be abstract.

  Returns:
    A dict by argument, such as `{"act": False, "attention.query": True}`,
    without float ones.
  """
  modules = [module for _, module in nnx.iter_modules(model)]
  have = [m.binarizer for m in modules if isinstance(m, Binarize)]
  cores = [(b.role, _core(b)) for b in have if b is not None]
  found = {
    name: (made.role, _core(made)) in cores for name, made in _asked(settings)
  }
  attention = settings.get("attention")
  if attention is not None and attention != "float":
    found["attention"] = any(isinstance(m, Attention) for m in modules)
  return found


def _asked(settings: Mapping[str, Any]) -> Iterator[tuple[str, Binarizer]]:
  """Arguments that are binarizers, with the binarizers."""
  attention = settings.get("attention")
  inside = dict(attention) if hasattr(attention, "items") else {}
  named = dict(settings) | {f"attention.{k}": v for k, v in inside.items()}
  for name, spec in named.items():
    last = name.rpartition(".")[2]
    preset = "embedding" if last == "embedding" else None
    if last.endswith("act") or name.partition(".")[2] in _ACTS:
      role = "act"
    elif last.endswith("weight") or preset:
      role = "weight"
    else:
      continue
    try:
      made = parse(spec, role, preset=preset)
    except (TypeError, ValueError):  # another model may use the name otherwise
      continue
    if made is not None:
      yield name, made


def _core(made: Binarizer) -> tuple[Any, ...]:
  return tuple(getattr(made, field) for field in _CORE)


def warn(name: str, used: Mapping[str, bool], settings: Mapping[str, Any]):
  """Warns once, of all binarizers that no layer uses."""
  idle = [key for key, is_used in used.items() if not is_used]
  if not idle:
    return

  def value(key):
    group, _, inside = key.rpartition(".")
    return (settings[group] if group else settings)[inside]

  listed = ", ".join(f"`{key}={value(key)!r}`" for key in idle)
  warnings.warn(
    f"No layer of the model {name!r} uses {listed}: as it is built, the layers"
    " for it are float or have another. Leave it out, or set it to None.",
    stacklevel=3,
  )


def options(
  settings: Mapping[str, Any], model: nnx.Module, build: Build
) -> list[str]:
  """Options that do not change the model.

  An option is used if the model with its default has another structure, other
  shapes or other initial values, or cannot be built. It is also used if this
  holds without the arguments that override it, such as sizes beside a
  `variant`.

  Args:
    settings: `name` and arguments of the model.
    model: built from them, abstract.
    build: makes a model of settings and random numbers.
  """
  defaults = registry.accepts("model", settings["name"]).defaults
  # If the default is None, the model decides, and may choose the same value.
  loose = [k for k in settings if k in defaults and defaults[k] is None]
  idle = []
  for name, value in settings.items():
    if defaults.get(name) is None or value is None or name.endswith(_SPECS):
      continue
    if same(value, defaults[name]) or _matters(name, settings, build, model):
      continue
    others = {k: v for k, v in settings.items() if k not in loose}
    if len(others) == len(settings) or not _matters(name, others, build):
      idle.append(name)
  return idle


def _matters(
  name: str,
  settings: Mapping[str, Any],
  build: Build,
  model: nnx.Module | None = None,
) -> bool:
  """Whether a model differs without an option."""
  rest = {k: v for k, v in settings.items() if k != name}
  try:
    model = model or _abstract(functools.partial(build, settings))
    whole = _structure(model)
    without = _abstract(
      functools.partial(_no_larger, 2 * len(whole[1]) + 16, build, rest)
    )
    if whole != _structure(without):
      return True
    return _program(settings, build) != _program(rest, build)
  except (TypeError, ValueError):
    return True


def _abstract(build: Callable[[nnx.Rngs], nnx.Module]) -> nnx.Module:
  from bnnjax import models

  return models.abstract(build)


def _no_larger(draws: int, build: Build, settings, rngs: nnx.Rngs):
  """Builds a model, or gives up if it needs more than `draws` random keys.

  A default is often a network of full size, which need not be traced to its
  end.

  Raises:
    ValueError: it gave up.
  """
  left, key = iter(range(draws)), rngs.default.key[...]

  class Limited(nnx.RngStream):
    def __call__(self) -> jax.Array:
      if next(left, None) is None:
        raise ValueError("A larger model than the one it is compared with.")
      return key

  rngs.default = Limited(jax.random.key(0), tag="default")
  return build(settings, rngs)


def _structure(model: nnx.Module) -> tuple[Any, list[str]]:
  graph, state = nnx.split(model)
  return graph, [f"{x.shape} {x.dtype}" for x in jax.tree.leaves(state)]


def _program(settings: Mapping[str, Any], build: Build) -> str:
  """The program that computes the initial values, as text."""

  def init(key):
    return jax.tree.leaves(nnx.split(build(settings, nnx.Rngs(key)))[1])

  return str(jax.make_jaxpr(init)(jax.random.key(0)))
