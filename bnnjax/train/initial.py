"""What a run starts from: another run's variables, or a checkpoint's."""

import dataclasses
from typing import Any

import jax
from etils import epath
from flax import nnx
from ml_collections import ConfigDict

from bnnjax.core import registry
from bnnjax.layers import binarize
from bnnjax.layers.attention import Attention
from bnnjax.models import pretrained
from bnnjax.train import inputs, setup
from bnnjax.train import workdir as workdir_lib
from bnnjax.train.state import Network


def load(config: ConfigDict, network: Network) -> Any:
  """Parameters and running statistics of `config.init`, as a network has them.

  Latent weights take the float weights. A binarizer that the other run has at
  the same place goes on with what it has learned (scales, thresholds); any
  other starts again, a learned scale from the weights. Attention that shares
  queries and keys leaves the other's keys out.

  Args:
    config: resolved, `init` a trained run's workdir, a `.safetensors` file, or
      the `.safetensors.index.json` of several.
    network: of the first stage.

  Raises:
    ValueError: no run or file there, no table of names for it, another
      vocabulary or network, parameters that do not fit (all listed).
  """
  try:
    host = jax.local_devices(backend="cpu")[0]
  except RuntimeError:  # JAX_PLATFORMS names others alone
    host = None
  # Off the accelerator, of which one may not hold what all of them share.
  with jax.default_device(host):
    return _load(config, network)


def _load(config: ConfigDict, network: Network) -> Any:
  theirs = None
  if config.init.endswith(pretrained.ENDINGS):
    source, names = config.init, _family(config)
  else:
    theirs = _trained(config)
    source = {k: v[...] for k, v in pretrained.weights(theirs).items()}
    names = pretrained.own_names(source)
  params, rest = network.variables(config.seed)
  model = network.merge({"params": params, "rest": rest})
  shared = tuple(
    f"{'.'.join(map(str, path))}.key.*"
    for path, module in nnx.iter_modules(model)
    if isinstance(module, Attention) and module.key is None
  )
  names = dataclasses.replace(names, strangers=shared)
  pretrained.load(model, source, names)
  if theirs is not None:
    binarize.adopt(model, theirs)
  _, params, rest = nnx.split(model, nnx.Param, ...)
  return {
    k: nnx.to_pure_dict(v) for k, v in (("params", params), ("rest", rest))
  }


def _family(config: ConfigDict) -> pretrained.Names:
  """Names of a file's tensors, its settings checked against the config's."""
  names = pretrained.FAMILIES.get(config.model.name)
  if names is None:
    raise registry.unknown(
      "model with a table of checkpoint names",
      config.model.name,
      pretrained.FAMILIES,
    )
  if not epath.Path(config.init).exists():
    raise ValueError(f"`init` names {config.init}, which does not exist.")
  mine = {k: config.model[k] for k in names.settings if k in config.model}
  told = epath.Path(config.init).with_name("config.json").exists()
  theirs = pretrained.config_of(config.init, names, **({} if told else mine))
  for key in names.settings:  # what shapes do not show
    if mine.get(key) != theirs[key]:
      raise ValueError(
        f"The checkpoint {config.init} has {key} = {theirs[key]}: set"
        f" `model.{key}` to it, got {mine.get(key)}."
      )
  return names


def _trained(config: ConfigDict) -> nnx.Module:
  """The model of a trained run."""
  theirs = workdir_lib.read_config(config.init)
  inputs.check_vocabulary(config, theirs)
  network, state, _ = setup.restore(theirs, config.init, "last")
  return network.merge(state)
