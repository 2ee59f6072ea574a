"""Weights from checkpoints: safetensors under somebody else's names.

How a family of checkpoints names and lays out its tensors is a table (`Names`);
one loader reads them all, and fills a model only when everything fits:

  config = config_of("folder", BERT)
  model = models.build({**config, "weight": "ste|channel_l1"}, rngs=rngs)
  load(model, "folder", BERT)
"""

import fnmatch
import os
import warnings
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from bnnjax.core.numerics import sign
from bnnjax.layers import binarizer_state
from bnnjax.layers.variables import BinarizerParam, BinaryWeight
from bnnjax.models import pretrained_config as config_lib
from bnnjax.models import pretrained_files as files
from bnnjax.models.pretrained_families import (
  BERT,
  FAMILIES,
  MAMBA2,
  RESIDUAL,
  Names,
)

__all__ = [
  "BERT", "FAMILIES", "MAMBA2", "Names", "config_of", "load", "own_names",
  "said", "weights",
]  # fmt: skip

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
    and not isinstance(variable, BinarizerParam)
  }


def load(model: nnx.Module, source: Source, names: Names) -> tuple[str, ...]:
  """Fills the parameters of a model in place, in their dtype and sharding.

  A latent weight takes the float weight. Parameters of binarizers are not in a
  checkpoint: those of a filled weight start again from it (a learned scale
  measures it), all others stay. A head of pre-training that the model does not
  have is left out, with a warning that names its tensors.

  Args:
    model: any module with the variables that the table names.
    source: a safetensors file, the index of several, the folder of one, or
      tensors by name. Of files, the `config.json` beside them is checked
      against the model too; without one, a warning says what was not.
    names: what the tensors are called.

  Returns:
    Paths of the optional variables that the checkpoint does not have.

  Raises:
    ValueError: a damaged file; a network that the model is not; tensors that are
      missing, unexpected, given twice, of another shape, not float or not
      finite, all listed; the model is as it was.
    FileNotFoundError: no such file.
  """
  where, tensors, settings = _open(source, files.tensors)
  shapes = {name: tuple(np.shape(t)) for name, t in tensors.items()}
  config_lib.check_family(where or "The checkpoint", names, shapes, settings)
  variables = weights(model)
  places = _places(variables, names)
  found, spare, problems = _assign(tensors, places, names)
  absent = [place for place in places if place not in found]
  # A wildcard of which something was found is not optional any more.
  known = {path for path, _ in found}
  optional = [p for p in names.optional if not fnmatch.filter(known, p)]
  problems += [
    f"missing: {names.source(*place)} for {_say(place)}"
    for place in absent
    if not any(fnmatch.fnmatchcase(place[0], p) for p in optional)
  ]
  problems += [
    f"{names.source(*place)} needs a tensor for `{other}`: without, it is of"
    " another network"
    for pattern, other in names.together.items()
    for place in found
    if fnmatch.fnmatchcase(place[0], pattern) and other not in known
  ]
  problems += _misfits(found, tensors, places)
  if where and not problems:
    problems = _unlike(model, where, names, shapes, settings)
  if problems:
    raise ValueError(
      f"{where or 'The checkpoint'} does not fit this {type(model).__name__}"
      f" ({len(problems)} problems, nothing was changed):\n  "
      + "\n  ".join(sorted(problems))
    )
  for path in known:
    _fill(path, variables[path], found, tensors)
  binarizer_state.reinitialize_from_weights(
    model, {path.rpartition(".")[0] for path in known}
  )
  if spare:
    warnings.warn(
      f"{where or 'The checkpoint'} has tensors that this"
      f" {type(model).__name__} has no place for; they were left out:"
      f" {', '.join(sorted(spare))}.{_roomy(names, spare)}",
      stacklevel=2,
    )
  return tuple(dict.fromkeys(path for path, _ in absent))


def config_of(source: Source, names: Names, **given: Any) -> dict[str, Any]:
  """Arguments of `models.build` for the network of a checkpoint.

  Args:
    source: a safetensors file, the index of several, the folder of one, or
      tensors by name.
    names: what the tensors are called.
    **given: arguments that override what is found; necessary for those that
      shapes do not show (`heads`, `groups`) where no `config.json` lies beside
      the file.

  Returns:
    `name` and sizes.

  Raises:
    ValueError: a damaged file; a network of another family; a tensor that shows
      a size is missing, or `config.json` says another; a setting is unknown; the
      network has something that our model does not implement.
    FileNotFoundError: no such file.
  """
  where, shapes, settings = _open(source, files.shapes)
  if not where:
    shapes = {name: tuple(t.shape) for name, t in shapes.items()}
  config_lib.check_family(where or "The checkpoint", names, shapes, settings)
  shapes = {names.spell(name): shape for name, shape in shapes.items()}
  try:
    settings = settings and config_lib.translate(settings)
    config, problems = config_lib.read(names, shapes, settings, given)
  except ValueError as error:
    config, problems = {}, [str(error)]
  if problems:
    what = where or "The checkpoint"
    raise ValueError(f"{what} cannot be used: " + "; ".join(problems))
  return {**config, **given}


def said(source: str | os.PathLike, names: Names) -> dict[str, Any]:
  """The arguments that shapes do not show, as `config.json` has them."""
  settings = files.settings(files.resolve(source)) or {}
  try:
    settings = config_lib.translate(settings)
  except ValueError:  # `config_of` says what is wrong
    return {}
  return {a: settings[k] for a, k in names.settings.items() if k in settings}


def _open(source: Source, read) -> tuple[str, Mapping[str, Any], Any]:
  """Where it is (empty: in memory), what `read` gives, and its settings."""
  if isinstance(source, Mapping):
    return "", source, None
  path = files.resolve(source)
  settings = files.settings(path)
  return f"The checkpoint {path}", read(path), settings


def _unlike(model, where, names, shapes, settings) -> list[str]:
  """What `config.json` says otherwise than the model was built."""
  if not names.reads:
    return []
  built = {key: of(model) for key, of in names.built.items()}
  shapes = {names.spell(name): shape for name, shape in shapes.items()}
  try:
    settings = config_lib.translate(settings or {})
  except ValueError as error:
    return [str(error)]
  _, problems = config_lib.read(names, shapes, settings, built)
  told = {a: v for a, v in built.items() if names.settings[a] not in settings}
  if told and not problems:
    warnings.warn(
      f"{where} has no `config.json` beside it that says"
      f" {', '.join(names.settings[a] for a in told)}, and shapes do not show"
      f" it: it is taken for a `{names.model}` as the model is, with"
      f" {', '.join(f'{a} = {v}' for a, v in told.items())}.",
      stacklevel=3,
    )
  return problems + config_lib.differing(names, settings, built)


def _roomy(names: Names, spare: list[str]) -> str:
  """Says with which arguments a model has a place for more of the tensors."""
  spelled = {names.spell(name) for name in spare}
  having = [a for a, tensor in names.parts.items() if tensor in spelled]
  return "".join(f" `{a}=True` makes a place for some." for a in having)


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
  """`{place: (name, axes)}`, what is left out, what is wrong with the names."""
  found, spare, problems = {}, [], []
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
    if place not in places and any(
      fnmatch.fnmatchcase(theirs, p) for p in names.spare
    ):
      spare.append(name)
    elif place not in places:
      where = path and f": the model has no {_say(place)}"
      problems.append(f"unexpected: {name} {tuple(tensor.shape)}{where}")
    elif place in found:
      problems.append(f"twice: {found[place][0]} and {name} for {_say(place)}")
    else:
      found[place] = name, axes
  return found, spare, problems


def _misfits(found, tensors, places) -> list[str]:
  """Tensors of the wrong shape, that are not float or not finite."""
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
    elif wrong := int(np.sum(~np.isfinite(np.asarray(tensors[name])))):
      problems.append(f"not finite: {name}: {wrong} of its values")
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
  new = binarizer_state.placed_like(new, old)
  binary = isinstance(variable, BinaryWeight)
  variable[...] = sign(new) if binary else new
