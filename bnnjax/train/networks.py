"""Networks: the structure of a model, and what of its settings it uses."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from flax import nnx

from bnnjax import deprecated, models
from bnnjax.core import registry
from bnnjax.data.sources import DatasetInfo
from bnnjax.layers.variables import (
  STACKED,
  BinarizerParam,
  BinaryWeight,
  LatentWeight,
)
from bnnjax.models import unused_options
from bnnjax.tasks.base import Task
from bnnjax.train import optim
from bnnjax.train.config import StageSettings

KINDS = (
  (BinaryWeight, "binary"),
  (LatentWeight, "latent"),
  (BinarizerParam, "binarizer"),
  (nnx.Param, "float"),
)


@dataclasses.dataclass(frozen=True)
class Network:
  """A model's structure without its arrays.

  Attributes:
    graphdef: what `nnx.split` gives.
    kinds: tree like the parameters: `"latent"`, `"binary"` (weights without a
      latent one), `"binarizer"` (scales, thresholds), `"float"`, or
      `"undecayed"` for a float one that weight decay must leave alone.
    abstract: the module with shapes in place of arrays.
    build: makes the module from `nnx.Rngs`.
  """

  graphdef: Any
  kinds: Any
  abstract: nnx.Module
  build: Callable[[nnx.Rngs], nnx.Module]

  @classmethod
  def of(cls, build: Callable[[nnx.Rngs], nnx.Module]) -> "Network":
    """Reads the structure without allocating an array."""
    abstract = models.abstract(build)
    module = abstract
    if models.draws(abstract):  # dropout needs a real stream of random numbers
      module = nnx.eval_shape(lambda: build(nnx.Rngs(0)))
    graphdef, params, _ = nnx.split(module, nnx.Param, ...)
    kinds = jax.tree.map(
      _kind, params, is_leaf=lambda v: isinstance(v, nnx.Variable)
    )
    return cls(graphdef, nnx.to_pure_dict(kinds), abstract, build)

  @property
  def stacked(self) -> Any:
    """Tree like the parameters: whether the first axis counts layers."""
    params = nnx.state(self.abstract, nnx.Param)
    several = jax.tree.map(
      lambda v: bool(v.get_metadata(STACKED, False)),
      params,
      is_leaf=lambda v: isinstance(v, nnx.Variable),
    )
    return nnx.to_pure_dict(several)

  def variables(self, seed: int) -> tuple[Any, Any]:
    """Initial `params` and `rest`, made under jit."""

    @jax.jit
    def make(key):
      _, params, rest = nnx.split(self.build(nnx.Rngs(key)), nnx.Param, ...)
      # An array of weak type changes type in the first step: a new trace.
      return jax.tree.map(
        lambda x: jax.lax.convert_element_type(x, x.dtype),
        (nnx.to_pure_dict(params), nnx.to_pure_dict(rest)),
      )

    return make(jax.random.key(seed))

  def merge(self, state: Mapping[str, Any]) -> nnx.Module:
    """The module with the arrays of `state`, see `bnnjax.train.state`."""
    return nnx.merge(self.graphdef, state["params"], state["rest"])


def _kind(variable: nnx.Variable) -> str:
  """The label by which optimizers and metrics choose."""
  kind = next(name for type_, name in KINDS if isinstance(variable, type_))
  vectors = variable.get_metadata(STACKED, False) and len(variable.shape) < 3
  decay = variable.get_metadata("decay", True) and not vectors
  return kind if decay or kind != "float" else "undecayed"


def arguments_of(
  settings: Mapping[str, Any], task: Task, info: DatasetInfo
) -> dict[str, Any]:
  """The arguments of a model that task and data decide.

  Args:
    settings: `config.model`.
    task: of the run.
    info: what the config says of its data.

  Raises:
    ValueError: a model of images for text, or the other way round.
  """
  name = settings["name"]
  takes = registry.accepts("model", name)
  if info.vocab and "vocab" not in takes:
    raise ValueError(
      f"The model {name!r} reads images, but the data are text (`data.vocab`"
      f" is {info.vocab}). Choose a model that takes `vocab`, e.g. 'bert'."
    )
  if not info.vocab and "vocab" in takes and "image_shape" not in takes:
    raise ValueError(
      f"The model {name!r} reads text, but the data are images (`data.vocab` is"
      " 0). Set `data.vocab` and `data.shape` = (tokens,), or choose a model of"
      " images."
    )
  return task.model_arguments(info, settings)


def make_network(
  settings: Mapping[str, Any], arguments: Mapping[str, Any]
) -> Network:
  """The network of a stage; nothing is allocated.

  Args:
    settings: of its model, `name` among them.
    arguments: those that task and data decide, see `arguments_of`.

  Raises:
    ValueError: unknown model or argument, or an impossible value.
  """
  return Network.of(lambda rngs: models.make(settings, rngs=rngs, **arguments))


def check_settings_used(
  networks: Sequence[Network],
  stages: Sequence[StageSettings],
  arguments: Mapping[str, Any],
) -> None:
  """Warns about binarizers that no layer of any stage uses.

  Args:
    networks: of the stages.
    stages: what they were made from.
    arguments: of all models, see `arguments_of`.

  Raises:
    ValueError: an option that the model does not read beside the others, such
      as `head_size` of a Mamba-1.
  """

  def build(settings: Mapping[str, Any], rngs: nnx.Rngs) -> nnx.Module:
    return models.make(settings, rngs=rngs, **arguments)

  specs, idle, kinds, given, chosen = {}, [], set(), {}, {}
  for stage, network in zip(stages, networks, strict=True):
    for name, used in unused_options.specs(
      stage.model, network.abstract
    ).items():
      specs[name] = specs.get(name, False) or used
    idle.append(
      set(unused_options.options(stage.model, network.abstract, build))
    )
    kinds |= set(jax.tree.leaves(network.kinds))
    given |= stage.model
    chosen |= stage.optim
  model = given["name"]
  for name in sorted(set.intersection(*idle)):
    raise ValueError(
      f"The model {model!r} does not read `model.{name}` as it is set up, got"
      f" {given[name]!r}: leave it out."
    )
  unused_options.warn(model, specs, given)
  optim.warn_unused(chosen, kinds)


__getattr__ = deprecated.old_names(
  __name__,
  {
    "check_used": "bnnjax.deprecated_calls.check_used",
    "cost_of": "bnnjax.deprecated_calls.cost_of",
    "network_of": "bnnjax.deprecated_calls.network_of",
  },
)
