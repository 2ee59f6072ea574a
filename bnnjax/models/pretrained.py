"""Loads weights from published checkpoints (safetensors).

A table (`Names`) describes the tensors of a family of checkpoints; one loader
reads all families, and changes a model only if every tensor fits:

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

from bnnjax import deprecated
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
  "settings_of", "weights",
]  # fmt: skip

Source = str | os.PathLike | Mapping[str, Any]
Place = tuple[str, int | None]  # path of a variable; layer, if it is stacked


def own_names(tensors: Mapping[str, Any]) -> Names:
  """The table of tensors that are named by their paths in our models."""
  return Names("", {p: (p, None) for p in tensors}, optional=(RESIDUAL,))


def weights(model: nnx.Module) -> dict[str, nnx.Variable]:
  """All parameters except those of binarizers, and statistics of norms, by path."""
  return {
    ".".join(map(str, path)): variable
    for path, variable in nnx.iter_graph(model)
    if isinstance(variable, (nnx.Param, nnx.BatchStat))
    and not isinstance(variable, BinarizerParam)
  }


def load(model: nnx.Module, source: Source, names: Names) -> tuple[str, ...]:
  """Fills the parameters of a model in place, in their dtype and sharding.

  A latent weight becomes the float weight. Parameters of binarizers are not in
  checkpoints: those of a loaded weight are initialised from it again (a learned
  scale is measured), all others stay. A pre-training head without a place in
  the model is skipped, with a warning that names its tensors.

  Args:
    model: any module with the variables in the table.
    source: a safetensors file, the index of several, a folder with one of
      these, or tensors by name. The `config.json` beside a file is checked too.
    names: table of the family.

  Returns:
    Paths of the optional variables that the checkpoint does not have.

  Raises:
    ValueError: a damaged file, another network, or tensors that do not fit, all
      of which the message lists; the model is unchanged.
    FileNotFoundError: no such file.
  """
  where, tensors, settings = _open(source, files.tensors)
  shapes = {name: tuple(np.shape(t)) for name, t in tensors.items()}
  config_lib.check_family(where or "The checkpoint", names, shapes, settings)
  variables = weights(model)
  places = _places(variables, names)
  found, spare, problems = _assign(tensors, places, names)
  absent = [place for place in places if place not in found]
  problems += _missing(found, absent, names)
  problems += _misfits(found, tensors, places)
  if where and not problems:
    problems = _config_problems(model, where, names, shapes, settings)
  if problems:
    raise ValueError(
      f"{where or 'The checkpoint'} does not fit this {type(model).__name__}"
      f" ({len(problems)} problems, nothing was changed):\n  "
      + "\n  ".join(sorted(problems))
    )
  paths = {path for path, _ in found}
  for path in paths:
    _fill(path, variables[path], found, tensors)
  layers = {path.rpartition(".")[0] for path in paths}
  binarizer_state.reinitialize_from_weights(model, layers)
  if spare:
    warnings.warn(
      f"{where or 'The checkpoint'} has tensors that this"
      f" {type(model).__name__} has no place for; they were left out:"
      f" {', '.join(sorted(spare))}.{_place_hint(names, spare)}",
      stacklevel=2,
    )
  return tuple(dict.fromkeys(path for path, _ in absent))


def config_of(source: Source, names: Names, **given: Any) -> dict[str, Any]:
  """Arguments of `models.build` for the network of a checkpoint.

  Args:
    source: as in `load`.
    names: table of the family.
    **given: arguments that override those found; required for the ones that
      shapes do not show (`heads`, `groups`) if there is no `config.json`.

  Returns:
    `name` and sizes.

  Raises:
    ValueError: a damaged file, another family, a size that is missing or
      contradicted, or a setting that is unknown or not supported.
    FileNotFoundError: no such file.
  """
  where, shapes, settings = _open(source, files.shapes)
  if not where:
    shapes = {name: tuple(t.shape) for name, t in shapes.items()}
  where = where or "The checkpoint"
  config_lib.check_family(where, names, shapes, settings)
  shapes = {names.spell(name): shape for name, shape in shapes.items()}
  try:
    settings = settings and config_lib.translate(settings)
    config, problems = config_lib.read(names, shapes, settings, given)
  except ValueError as error:
    config, problems = {}, [str(error)]
  if problems:
    raise ValueError(f"{where} cannot be used: {'; '.join(problems)}")
  return {**config, **given}


def settings_of(source: str | os.PathLike, names: Names) -> dict[str, Any]:
  """The arguments in `config.json` that shapes do not show."""
  settings = files.settings(files.resolve(source)) or {}
  try:
    settings = config_lib.translate(settings)
  except ValueError:  # `config_of` reports it
    return {}
  return {a: settings[k] for a, k in names.settings.items() if k in settings}


def _open(source: Source, read) -> tuple[str, Mapping[str, Any], Any]:
  """Location (empty if in memory), result of `read`, and settings."""
  if isinstance(source, Mapping):
    return "", source, None
  path = files.resolve(source)
  settings = files.settings(path)
  return f"The checkpoint {path}", read(path), settings


def _missing(found, absent, names) -> list[str]:
  """Required places without a tensor, and tensors that require another."""
  known = {path for path, _ in found}
  # If anything matches a wildcard, all of it is required.
  optional = [p for p in names.optional if not fnmatch.filter(known, p)]
  problems = [
    f"missing: {names.source(*place)} for {_describe(place)}"
    for place in absent
    if not any(fnmatch.fnmatchcase(place[0], p) for p in optional)
  ]
  return problems + [
    f"{names.source(*place)} needs a tensor for `{other}`: without, it is of"
    " another network"
    for pattern, other in names.together.items()
    for place in found
    if fnmatch.fnmatchcase(place[0], pattern) and other not in known
  ]


def _config_problems(model, where, names, shapes, settings) -> list[str]:
  """Contradictions between `config.json` and the model."""
  if not names.reads:
    return []
  built = {key: of(model) for key, of in names.built.items()}
  shapes = {names.spell(name): shape for name, shape in shapes.items()}
  try:
    settings = config_lib.translate(settings or {})
  except ValueError as error:
    return [str(error)]
  _, problems = config_lib.read(names, shapes, settings, built)
  unsaid = {a: v for a, v in built.items() if names.settings[a] not in settings}
  if unsaid and not problems:
    warnings.warn(
      f"{where} has no `config.json` beside it that says"
      f" {', '.join(names.settings[a] for a in unsaid)}, and shapes do not show"
      f" it: it is taken for a `{names.model}` as the model is, with"
      f" {', '.join(f'{a} = {v}' for a, v in unsaid.items())}.",
      stacklevel=3,
    )
  return problems + config_lib.differing(names, settings, built)


def _place_hint(names: Names, spare: list[str]) -> str:
  """Names the arguments that would give a model a place for more tensors."""
  spelled = {names.spell(name) for name in spare}
  having = [a for a, tensor in names.parts.items() if tensor in spelled]
  return "".join(f" `{a}=True` makes a place for some." for a in having)


def _places(variables, names) -> dict[Place, tuple[int, ...]]:
  """Every place for a tensor, and its shape."""
  places = {}
  for path, variable in variables.items():
    shape = tuple(variable.shape)
    if names.stacks(path):
      places |= {(path, i): shape[1:] for i in range(shape[0])}
    else:
      places[path, None] = shape
  return places


def _describe(place: Place) -> str:
  return f"`{place[0]}`" if place[1] is None else f"`{place[0]}[{place[1]}]`"


def _assign(tensors, places, names):
  """`{place: (name, axes)}`, names to skip, and problems with names."""
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
      where = path and f": the model has no {_describe(place)}"
      problems.append(f"unexpected: {name} {tuple(tensor.shape)}{where}")
    elif place in found:
      problems.append(
        f"twice: {found[place][0]} and {name} for {_describe(place)}"
      )
    else:
      found[place] = name, axes
  return found, spare, problems


def _misfits(found, tensors, places) -> list[str]:
  """Tensors of another shape, not float or not finite."""
  problems = []
  for place, (name, axes) in found.items():
    got, wanted = tuple(tensors[name].shape), places[place]
    if axes is not None:  # transpose to the layout of the checkpoint
      wanted = tuple(wanted[axes.index(i)] for i in range(len(axes)))
    if got != wanted:
      problems.append(
        f"mis-shaped: {name} for {_describe(place)}: got {got}, wanted {wanted}"
      )
    elif not jnp.issubdtype(tensors[name].dtype, jnp.floating):
      problems.append(f"not float: {name}: got {tensors[name].dtype}")
    elif wrong := int(np.sum(~np.isfinite(np.asarray(tensors[name])))):
      problems.append(f"not finite: {name}: {wrong} of its values")
  return problems


def _fill(path, variable, found, tensors) -> None:
  """Sets a variable, from one tensor or from one tensor per layer."""

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


__getattr__ = deprecated.old_names(
  __name__, {"said": "bnnjax.models.pretrained.settings_of"}
)
