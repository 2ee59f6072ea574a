"""Initial weights of a run: those of another run, or of a checkpoint file."""

import dataclasses
from typing import Any

import jax
from etils import epath
from flax import nnx
from ml_collections import ConfigDict

from bnnjax.core import registry
from bnnjax.layers import binarizer_state
from bnnjax.layers.attention import Attention
from bnnjax.models import pretrained
from bnnjax.models import pretrained_files as files
from bnnjax.train import datasets, runs
from bnnjax.train import workdir as workdir_lib
from bnnjax.train.networks import Network

_BUCKETS = ("gs://", "s3://")  # what `epath` reads


def load(config: ConfigDict, network: Network, vocabulary: str = "") -> Any:
  """Parameters and running statistics from `config.init`, for a network.

  Latent weights take the float weights. A binarizer that the other run has at
  the same place keeps what it has learned (scales, thresholds); any other starts
  anew, a learned scale from the weights. Attention that shares queries and keys
  leaves out the other's keys.

  Args:
    config: resolved, `init` a trained run's workdir, a `.safetensors` file, the
      `.safetensors.index.json` of several, or a folder of one of these.
    network: of the first stage.
    vocabulary: digest of what a token of the run means, see `Source.vocabulary`.

  Raises:
    ValueError: no run or file there, another kind of file, no table of names for
      it, another vocabulary or network, parameters that do not fit (all listed).
  """
  try:
    host = jax.local_devices(backend="cpu")[0]
  except RuntimeError:  # JAX_PLATFORMS names others alone
    host = None
  # On the host: one accelerator may be too small for what all of them share.
  with jax.default_device(host):
    return _load(config, network, vocabulary)


def _load(config: ConfigDict, network: Network, vocabulary: str) -> Any:
  theirs = None
  if is_run(config.init):
    theirs = _trained(config, vocabulary)
    source = {k: v[...] for k, v in pretrained.weights(theirs).items()}
    names = pretrained.own_names(source)
  else:
    source, names = config.init, family_of(config)
  params, rest = network.variables(config.seed)
  model = network.merge({"params": params, "rest": rest})
  shared = tuple(
    f"{'.'.join(map(str, path))}.key.*"
    for path, module in nnx.iter_modules(model)
    if isinstance(module, Attention) and module.key is None
  )
  names = dataclasses.replace(names, strangers=shared)
  new = pretrained.load(model, source, names)
  if new and theirs is None:
    print(f"{config.init} does not have, and the run draws: {', '.join(new)}")
  if theirs is not None:
    binarizer_state.copy_learned(model, theirs)
  _, params, rest = nnx.split(model, nnx.Param, ...)
  return {
    k: nnx.to_pure_dict(v) for k, v in (("params", params), ("rest", rest))
  }


def is_run(init: str) -> bool:
  """Whether a path is the workdir of a run, rather than a file of weights.

  Raises:
    FileNotFoundError: it is neither, e.g. a name on the Hugging Face Hub.
  """
  if init.endswith((*files.ENDINGS, *files.OTHERS)):
    return False
  if "://" in init and not init.startswith(_BUCKETS):
    raise _nothing(init)
  path = epath.Path(init).expanduser()
  if not path.exists():
    raise _nothing(init)
  return any(
    (path / name).exists() for name in ("checkpoints", "metrics.jsonl")
  )


def _nothing(init: str) -> FileNotFoundError:
  return FileNotFoundError(
    f"`init`: there is no {init!r}. It is the path of a trained run's workdir,"
    f" of a `{files.FILE}` file or of a folder of one. Nothing is downloaded: of"
    " the Hugging Face Hub get it first, `hf download NAME --local-dir FOLDER`."
  )


def family_of(config: ConfigDict) -> pretrained.Names:
  """Names of the tensors in a file; checks that its network is the config's."""
  names = pretrained.FAMILIES.get(config.model.name)
  if names is None:
    raise registry.unknown(
      "model with a table of checkpoint names",
      config.model.name,
      pretrained.FAMILIES,
    )
  said = pretrained.settings_of(config.init, names)
  mine = {k: config.model[k] for k in names.settings if k in config.model}
  told = {k: v for k, v in mine.items() if k not in said}
  pretrained.config_of(config.init, names, **told)
  return names


def _trained(config: ConfigDict, vocabulary: str = "") -> nnx.Module:
  """The model of a trained run."""
  theirs = workdir_lib.read_config(config.init)
  network, state, info = runs.restore(theirs, config.init, "last")
  datasets.check_vocabulary(config, theirs, vocabulary, info)
  return network.merge(state)
