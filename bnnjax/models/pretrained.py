"""Weights from checkpoints: safetensors under somebody else's names.

How a family of checkpoints names and lays out its tensors is a table (`Names`);
one loader reads them all, and fills a model only when everything fits:

  config = config_of("model.safetensors", BERT)
  model = models.build({**config, "weight": "ste|channel_l1"}, rngs=rngs)
  load(model, "model.safetensors", BERT)
"""

import fnmatch
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from flax import nnx

from bnnjax.core.estimator import sign
from bnnjax.layers import binarize
from bnnjax.models.pretrained_names import (
  BERT,
  FAMILIES,
  MAMBA2,
  RESIDUAL,
  Names,
  numbers,
)

__all__ = [
  "BERT", "FAMILIES", "MAMBA2", "Names", "config_of", "load", "own_names",
  "weights",
]  # fmt: skip

ENDINGS = (".safetensors", ".safetensors.index.json")  # of files it reads
Source = str | os.PathLike | Mapping[str, Any]
Place = tuple[str, int | None]  # a variable, and a layer of a stacked one


def own_names(tensors: Mapping[str, Any]) -> Names:
  """The table of parameters that are called by their paths in our models."""
  table = {path: (path, None) for path in tensors}
  return Names("", table, optional=(RESIDUAL,))


def weights(model: nnx.Module) -> dict[str, nnx.Variable]:
  """Parameters and running statistics of norms by dotted path.

  Those of binarizers are left out.
  """
  return {
    ".".join(map(str, path)): variable
    for path, variable in nnx.iter_graph(model)
    if isinstance(variable, (nnx.Param, nnx.BatchStat))
    and not isinstance(variable, binarize.BinarizerParam)
  }


def load(model: nnx.Module, source: Source, names: Names) -> tuple[str, ...]:
  """Fills the parameters of a model in place, in their dtype and sharding.

  A latent weight takes the float weight. Parameters of binarizers are not in a
  checkpoint: those of a filled weight start again from it (a learned scale
  measures it), all others stay.

  Args:
    model: any module with the variables that the table names.
    source: a safetensors file, the index of several, or tensors by name.
    names: what the tensors are called.

  Returns:
    Paths of the optional variables that the checkpoint does not have.

  Raises:
    ValueError: tensors that are missing, unexpected, given twice or of another
      shape, all listed; the model is as it was.
  """
  tensors = source
  if not isinstance(source, Mapping):
    tensors = {}
    for file in _files(source):
      tensors |= safetensors.numpy.load_file(file)
  variables = weights(model)
  places = _places(variables, names)
  found, problems = _assign(tensors, places, names)
  absent = [place for place in places if place not in found]
  # A wildcard of which something was found is not optional any more.
  known = {path for path, _ in found}
  optional = [p for p in names.optional if not fnmatch.filter(known, p)]
  problems += [
    f"missing: {names.source(*place)} for {_say(place)}"
    for place in absent
    if not any(fnmatch.fnmatchcase(place[0], p) for p in optional)
  ]
  problems += _misfits(found, tensors, places)
  if problems:
    raise ValueError(
      f"The checkpoint does not fit this {type(model).__name__}"
      f" ({len(problems)} problems, nothing was changed):\n  "
      + "\n  ".join(sorted(problems))
    )
  for path in known:
    _fill(path, variables[path], found, tensors)
  binarize.remeasure(model, {path.rpartition(".")[0] for path in known})
  return tuple(dict.fromkeys(path for path, _ in absent))


def config_of(source: Source, names: Names, **given: Any) -> dict[str, Any]:
  """Arguments of `models.build` for the network of a checkpoint.

  Args:
    source: a safetensors file, the index of several, or tensors by name.
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
    shapes = {}
    for path in _files(source):
      with safetensors.safe_open(path, "numpy") as file:
        names_in = file.keys()
        shapes |= {k: file.get_slice(k).get_shape() for k in names_in}
    beside = pathlib.Path(source).with_name("config.json")
    if beside.exists():
      settings = json.loads(beside.read_text(), object_hook=_number)
  shapes = {names.spell(k): shape for k, shape in shapes.items()}
  config = {"name": names.model}
  problems = [
    f"{key} is {settings[key]!r}, `{names.model}` has {wanted!r}"
    for key, wanted in names.demands.items()
    if settings.get(key, wanted) != wanted
  ]
  for argument, where in names.sizes.items():
    function, *shown = where if callable(where[0]) else (int, where)
    lacking = [name for name, _ in shown if not _like(name, shapes)]
    problems += [f"no tensor {n} to show `{argument}`" for n in lacking]
    if not lacking:
      config[argument] = function(*(_shown(*s, shapes) for s in shown))
  for argument, key in names.settings.items():
    config[argument] = given.get(argument, settings.get(key))
    if config[argument] is None:
      why = f"shapes do not show `{argument}`: give it, or the path of a file"
      problems.append(f"{why} that has its `config.json` ({key!r}) beside it")
  if problems:
    raise ValueError("The checkpoint cannot be used: " + "; ".join(problems))
  return {**config, **given}


def _files(source: str | os.PathLike) -> list[pathlib.Path]:
  """A safetensors file, or those that an index of them lists.

  Raises:
    ValueError: the index lists a file that is not there.
  """
  path = pathlib.Path(source)
  if not path.name.endswith(ENDINGS[1]):
    return [path]
  listed = set(json.loads(path.read_text())["weight_map"].values())
  files = [path.with_name(name) for name in sorted(listed)]
  if lacking := [file.name for file in files if not file.exists()]:
    raise ValueError(f"{path} lists files that are not there: {lacking}.")
  return files


def _number(entry: dict[str, Any]) -> Any:
  """What `transformers` writes as `{"__float__": "Infinity"}`."""
  return float(entry["__float__"]) if entry.keys() == {"__float__"} else entry


def _like(name: str, shapes: Mapping[str, Any]) -> list[tuple[int, ...]]:
  """Shapes of the tensors of a name."""
  return [shapes[k] for k in shapes if numbers(name, k) is not None]


def _shown(name: str, axis: int, shapes: Mapping[str, Any]) -> int:
  """The size that a tensor shows, or the number of tensors."""
  like = _like(name, shapes)
  return len(like) if "{}" in name else like[0][axis]


def _places(variables, names) -> dict[Place, tuple[int, ...]]:
  """Every place that takes a tensor, and the shape of it there."""
  places = {}
  for path, variable in variables.items():
    shape = tuple(variable.shape)
    if names.stacks(path):
      places |= {(path, i): shape[1:] for i in range(shape[0])}
    else:
      places[path, None] = shape
  return places


def _say(place: Place) -> str:
  path, layer = place
  return f"`{path}`" if layer is None else f"`{path}[{layer}]`"


def _assign(tensors, places, names):
  """`{place: (name, axes)}` and what is wrong with the names."""
  found, problems = {}, []
  spelled = {names.spell(name): name for name in tensors}
  for name, tensor in tensors.items():
    theirs = names.spell(name)
    if any(fnmatch.fnmatchcase(theirs, p) for p in names.ignored):
      continue
    if (first := spelled.get(names.copies.get(theirs))) is not None:
      if not np.array_equal(tensor, tensors[first]):
        problems.append(f"not tied: {name} must repeat {first}")
      continue
    path, layer, axes = names.target(theirs)
    place = path, layer
    if any(fnmatch.fnmatchcase(path, p) for p in names.strangers):
      continue
    if place not in places:
      where = path and f": the model has no {_say(place)}"
      problems.append(f"unexpected: {name} {tuple(tensor.shape)}{where}")
    elif place in found:
      problems.append(f"twice: {found[place][0]} and {name} for {_say(place)}")
    else:
      found[place] = name, axes
  return found, problems


def _misfits(found, tensors, places) -> list[str]:
  """Tensors of the wrong shape, or that are not float."""
  problems = []
  for place, (name, axes) in found.items():
    got, wanted = tuple(tensors[name].shape), places[place]
    if axes is not None:  # in the layout of the checkpoint
      wanted = tuple(wanted[axes.index(i)] for i in range(len(axes)))
    if got != wanted:
      problems.append(
        f"mis-shaped: {name} for {_say(place)}: got {got}, wanted {wanted}"
      )
    elif not jnp.issubdtype(tensors[name].dtype, jnp.floating):
      problems.append(f"not float: {name}: got {tensors[name].dtype}")
  return problems


def _fill(path, variable, found, tensors) -> None:
  """Sets a variable, from one tensor or from one a layer."""

  def tensor(place):
    name, axes = found[place]
    array = np.asarray(tensors[name])
    return array if axes is None else array.transpose(axes)

  if (path, None) in found:
    new = tensor((path, None))
  else:
    new = np.stack([tensor((path, i)) for i in range(variable.shape[0])])
  old = variable[...]
  new = binarize.placed_like(new, old)
  binary = isinstance(variable, binarize.BinaryWeight)
  variable[...] = sign(new) if binary else new
