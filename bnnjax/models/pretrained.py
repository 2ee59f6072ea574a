"""Weights from checkpoints: safetensors under somebody else's names.

How a family of checkpoints names and lays out its tensors is a table (`Names`);
one loader reads them all, and fills a model only when everything fits:

  config = config_of("model.safetensors", BERT)
  model = models.build({**config, "weight": "ste|channel_l1"}, rngs=rngs)
  load(model, "model.safetensors", BERT)
"""

import dataclasses
import fnmatch
import json
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from flax import nnx

from bnnjax.core.estimator import sign
from bnnjax.layers import binarize

Axes = tuple[int, ...] | None
Source = str | os.PathLike | Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Names:
  """A family of checkpoints.

  `{}` in a name stands for a number, the same on both sides of the table.

  Attributes:
    model: name of our model.
    table: name of a tensor -> path of a variable, and the transposition that
      takes the tensor there (`None`: none).
    spelling: `(regular expression, replacement)` pairs that turn the variants
      of a name into the one of the table.
    ignored: wildcards of tensors that the model has no use for.
    strangers: the same, of the variables that they would go to.
    optional: wildcards of variables that a checkpoint may lack, all of a
      wildcard together; they keep what they have.
    sizes: argument of the model -> tensor and axis that show it; with `{}` in
      its name, the number of such tensors.
    settings: argument of the model -> key of `config.json`, for what shapes do
      not show.
    demands: key of `config.json` -> the one value that our model implements.
  """

  model: str
  table: Mapping[str, tuple[str, Axes]]
  spelling: tuple[tuple[str, str], ...] = ()
  ignored: tuple[str, ...] = ()
  strangers: tuple[str, ...] = ()
  optional: tuple[str, ...] = ()
  sizes: Mapping[str, tuple[str, int]] = dataclasses.field(default_factory=dict)
  settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
  demands: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  def spell(self, name: str) -> str:
    """The name as the table has it."""
    for pattern, replacement in self.spelling:
      name = re.sub(pattern, replacement, name)
    return name

  def target(self, name: str) -> tuple[str, Axes]:
    """Variable and transposition of a tensor; `("", None)` for a stranger."""
    if name in self.table:
      return self.table[name]
    for template, (path, axes) in self.table.items():
      if (numbers := _numbers(template, name)) is not None:
        return path.format(*numbers), axes
    return "", None

  def source(self, path: str) -> str:
    """Name of the tensor for a variable."""
    for template, (target, _) in self.table.items():
      if (numbers := _numbers(target, path)) is not None:
        return template.format(*numbers)
    return "(not in the table)"


def _pair(weight: str, axes=None):
  """Entries of a layer's weight, called otherwise here, and bias."""
  return lambda theirs, ours: {
    f"{theirs}.weight": (f"{ours}.{weight}", axes),
    f"{theirs}.bias": (f"{ours}.bias", None),
  }


linear, norm = _pair("kernel", (1, 0)), _pair("scale")

RESIDUAL = "blocks.*.attention.residual.*"
# Hugging Face's `BertModel`, alone or inside `BertFor...`. Checkpoints
# converted from TensorFlow call a norm's scale and shift gamma and beta.
_LAYER, _BLOCK = "encoder.layer.{}", "blocks.{}"
BERT = Names(
  model="bert",
  table={
    "embeddings.word_embeddings.weight": ("word.table", None),
    "embeddings.position_embeddings.weight": ("position.table", None),
    "embeddings.token_type_embeddings.weight": ("type.table", None),
    **norm("embeddings.LayerNorm", "norm"),
    **linear(f"{_LAYER}.attention.self.query", f"{_BLOCK}.attention.query"),
    **linear(f"{_LAYER}.attention.self.key", f"{_BLOCK}.attention.key"),
    **linear(f"{_LAYER}.attention.self.value", f"{_BLOCK}.attention.value"),
    **linear(f"{_LAYER}.attention.output.dense", f"{_BLOCK}.attention.out"),
    **norm(f"{_LAYER}.attention.output.LayerNorm", f"{_BLOCK}.attention_norm"),
    **linear(f"{_LAYER}.intermediate.dense", f"{_BLOCK}.expand"),
    **linear(f"{_LAYER}.output.dense", f"{_BLOCK}.reduce"),
    **norm(f"{_LAYER}.output.LayerNorm", f"{_BLOCK}.mlp_norm"),
    **linear("pooler.dense", "pooler"),
    **linear("classifier", "head"),
  },
  spelling=(
    (r"^bert\.", ""),
    (r"LayerNorm\.gamma$", "LayerNorm.weight"),
    (r"LayerNorm\.beta$", "LayerNorm.bias"),
  ),
  # The numbers 0, 1, 2, ...; the heads of pre-training.
  ignored=("embeddings.position_ids", "cls.*"),
  # BiPFT's estimators are a student's own.
  optional=("pooler.*", "head.*", RESIDUAL),
  sizes={
    "vocab": ("embeddings.word_embeddings.weight", 0),
    "features": ("embeddings.word_embeddings.weight", 1),
    "max_len": ("embeddings.position_embeddings.weight", 0),
    "types": ("embeddings.token_type_embeddings.weight", 0),
    "hidden": ("encoder.layer.0.intermediate.dense.weight", 0),
    "blocks": (f"{_LAYER}.intermediate.dense.weight", 0),
  },
  settings={"heads": "num_attention_heads"},
  demands={
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "position_embedding_type": "absolute",
  },
)


FAMILIES = {"bert": BERT}


def own_names(tensors: Mapping[str, Any]) -> Names:
  """The table of parameters that are called by their paths in our models."""
  table = {path: (path, None) for path in tensors}
  return Names("", table, optional=(RESIDUAL,))


def weights(model: nnx.Module) -> dict[str, nnx.Param]:
  """Parameters by dotted path, those of binarizers left out."""
  return {
    ".".join(map(str, path)): variable
    for path, variable in nnx.iter_graph(model)
    if isinstance(variable, nnx.Param)
    and not isinstance(variable, binarize.BinarizerParam)
  }


def load(model: nnx.Module, source: Source, names: Names) -> tuple[str, ...]:
  """Fills the parameters of a model in place, in their dtype and sharding.

  A latent weight takes the float weight. Parameters of binarizers are not in a
  checkpoint: those of a filled weight start again from it (a learned scale
  measures it), all others stay.

  Args:
    model: any module with the variables that the table names.
    source: a safetensors file, or its tensors by name.
    names: what the tensors are called.

  Returns:
    Paths of the optional variables that the checkpoint does not have.

  Raises:
    ValueError: tensors that are missing, unexpected, given twice or of another
      shape, all listed; the model is as it was.
  """
  tensors = source
  if not isinstance(source, Mapping):
    tensors = safetensors.numpy.load_file(source)
  variables = weights(model)
  found, problems = _assign(tensors, variables, names)
  absent = [path for path in variables if path not in found]
  # A wildcard of which something was found is not optional any more.
  optional = [p for p in names.optional if not fnmatch.filter(found, p)]
  problems += [
    f"missing: {names.source(path)} for `{path}`"
    for path in absent
    if not any(fnmatch.fnmatchcase(path, p) for p in optional)
  ]
  problems += _misfits(found, tensors, variables)
  if problems:
    raise ValueError(
      f"The checkpoint does not fit this {type(model).__name__}"
      f" ({len(problems)} problems, nothing was changed):\n  "
      + "\n  ".join(sorted(problems))
    )
  for path, (name, axes) in found.items():
    _fill(variables[path], np.asarray(tensors[name]), axes)
  binarize.remeasure(model, {path.rpartition(".")[0] for path in found})
  return tuple(absent)


def config_of(source: Source, names: Names, **given: Any) -> dict[str, Any]:
  """Arguments of `models.build` for the network of a checkpoint.

  Args:
    source: a safetensors file, or its tensors by name.
    names: what the tensors are called.
    **given: arguments that override what is found; necessary for those that
      shapes do not show (`heads`) where no `config.json` lies beside the file.

  Returns:
    `name` and sizes.

  Raises:
    ValueError: a tensor that shows a size is missing; a setting is unknown; the
      network has something that our model does not implement.
  """
  settings = {}
  if isinstance(source, Mapping):
    shapes = {k: v.shape for k, v in source.items()}
  else:
    with safetensors.safe_open(source, "numpy") as file:
      shapes = {k: file.get_slice(k).get_shape() for k in file.keys()}  # noqa: SIM118
    beside = pathlib.Path(source).with_name("config.json")
    if beside.exists():
      settings = json.loads(beside.read_text())
  shapes = {names.spell(k): shape for k, shape in shapes.items()}
  config = {"name": names.model}
  problems = [
    f"{key} is {settings[key]!r}, `{names.model}` has {wanted!r}"
    for key, wanted in names.demands.items()
    if settings.get(key, wanted) != wanted
  ]
  for argument, (name, axis) in names.sizes.items():
    like = [shapes[k] for k in shapes if _numbers(name, k) is not None]
    config[argument] = len(like) if "{}" in name else like and like[0][axis]
    if not like:
      problems.append(f"no tensor {name} to show `{argument}`")
  for argument, key in names.settings.items():
    config[argument] = given.get(argument, settings.get(key))
    if config[argument] is None:
      why = f"shapes do not show `{argument}`: give it, or the path of a file"
      problems.append(f"{why} that has its `config.json` ({key!r}) beside it")
  if problems:
    raise ValueError("The checkpoint cannot be used: " + "; ".join(problems))
  return {**config, **given}


def _numbers(template: str, text: str) -> tuple[str, ...] | None:
  """What stands for `{}`, or `None` if the text is another."""
  pattern = re.escape(template).replace(r"\{\}", r"(\d+)")
  found = re.fullmatch(pattern, text)
  return found and found.groups()


def _assign(tensors, variables, names):
  """`{path: (name, axes)}` and what is wrong with the names."""
  found, problems = {}, []
  for name, tensor in tensors.items():
    spelled = names.spell(name)
    if any(fnmatch.fnmatchcase(spelled, p) for p in names.ignored):
      continue
    path, axes = names.target(spelled)
    if any(fnmatch.fnmatchcase(path, p) for p in names.strangers):
      continue
    if path not in variables:
      where = path and f": the model has no `{path}`"
      problems.append(f"unexpected: {name} {tuple(tensor.shape)}{where}")
    elif path in found:
      problems.append(f"twice: {found[path][0]} and {name} for `{path}`")
    else:
      found[path] = name, axes
  return found, problems


def _misfits(found, tensors, variables) -> list[str]:
  """Tensors of the wrong shape, or that are not float."""
  problems = []
  for path, (name, axes) in found.items():
    got, wanted = tuple(tensors[name].shape), variables[path].shape
    if axes is not None:  # in the layout of the checkpoint
      wanted = tuple(wanted[axes.index(i)] for i in range(len(axes)))
    if got != wanted:
      problems.append(
        f"mis-shaped: {name} for `{path}`: got {got}, wanted {wanted}"
      )
    elif not jnp.issubdtype(tensors[name].dtype, jnp.floating):
      problems.append(f"not float: {name}: got {tensors[name].dtype}")
  return problems


def _fill(variable, tensor, axes) -> None:
  tensor = tensor if axes is None else tensor.transpose(axes)
  old = variable[...]
  new = jax.device_put(tensor.astype(old.dtype), old.sharding)
  binary = isinstance(variable, binarize.BinaryWeight)
  variable[...] = sign(new) if binary else new
