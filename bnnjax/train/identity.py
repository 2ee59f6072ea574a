"""The identity of a run: digests of its config, its data, code and arrays.

Two runs are the same if they compute the same. The digest of a run leaves out
where it runs (`mesh`, threads, workdir), what it shows, how long it is
(`differences`), and facts that its data imply; data, `init`, teacher and code that
a user registered count by their content, not by their names. So the digest does not depend on where files
lie, and it changes whenever something changes that the result depends on.

An identity is `{"config": ..., "data": ..., "init": ..., "teacher": ..., "code":
..., "run": ...}`: the resolved config as JSON, and digests. Every checkpoint stores it, and
`differences` says how two identities differ.
"""

import os
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from bnnjax.data import digest, sources
from bnnjax.train import config_fields, differences
from bnnjax.train.differences import DATA, FREE, LENGTH, TOLD, WEIGHTS


def of_data(
  train: sources.Source, evaluation: sources.Source
) -> dict[str, str]:
  """Digests of both splits, and for texts of the vocabulary."""
  found = {"train": train.digest(), "eval": evaluation.digest()}
  if vocabulary := train.vocabulary():
    found["vocabulary"] = vocabulary
  return found


def of_arrays(tree: Any) -> str:
  """Digest of the arrays of a tree, each with its path, type and shape.

  It does not depend on how arrays are sharded, nor on the type of a node (dict,
  tuple, dataclass). Leaves come to the host one by one.

  Raises:
    RuntimeError: other processes hold a part of an array.
  """
  leaves, parts = jax.tree_util.tree_leaves_with_path(tree), []
  for path, leaf in leaves:
    name = jax.tree_util.keystr(path, simple=True, separator="/")
    kind = ""
    if isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(
      leaf.dtype, jax.dtypes.prng_key
    ):
      kind, leaf = str(jax.random.key_impl(leaf)), jax.random.key_data(leaf)
    parts.append((name, kind, digest.of(np.asarray(leaf))))
  return digest.of(sorted(parts))


def of_parts(digests: Mapping[str, str]) -> str:
  """Digest of a network from those of `params`, `rest` and, if any, `ema`."""
  average = [digests["ema"]] if "ema" in digests else []
  return digest.of(digests["params"], digests["rest"], *average)


def of_weights(path: str) -> str | None:
  """Digest of the weights at a path, as of `init` or a teacher.

  Args:
    path: workdir of a run (digest of the arrays of its last checkpoint, or of
      its config if it has none); or a file of weights, an index of several, or
      a folder of these (digest of their bytes).

  Returns:
    The digest, or `None` if nothing there can be read: whoever loads the
    weights says what is wrong.
  """
  # These import this module.
  from bnnjax.models import pretrained_files
  from bnnjax.train import initial

  try:
    if initial.is_run(path):
      return _of_run_in(path)
    return digest.of_files(pretrained_files.all_of(path))
  except (ValueError, OSError):
    return None


def _of_run_in(workdir: str) -> str | None:
  """Digest of the network of a run, as far as it has been trained."""
  from bnnjax.train import runs, sharding
  from bnnjax.train import workdir as workdir_lib
  from bnnjax.train.checkpoint import Checkpoints

  if not Path(workdir).is_dir():
    return None
  checkpoints = Checkpoints(workdir, create=False)
  try:
    if checkpoints.latest("last") is None:
      config = workdir_lib.read_config(workdir)
      return of_record({"config": workdir_lib.to_json(config)})
    stored = checkpoints.info("last").get("digests", {})
  finally:
    checkpoints.close()
  if not {"params", "rest"} <= stored.keys():  # of an older version
    config, mesh = workdir_lib.read_config(workdir), sharding.make_mesh()
    _, state, _ = runs.restore(config, workdir, "last", mesh)
    stored = {part: of_arrays(state[part]) for part in ("params", "rest")}
  return of_parts(stored)


def of_run(config: Any, contents: Mapping[str, Any]) -> str:
  """Digest of a run.

  Args:
    config: resolved, as a ConfigDict or as JSON; JSON of an older version may
      lack newer fields.
    contents: `data` as from `of_data`, `init` and `teacher` as from
      `of_weights`, and `code` as from `code.of_config`, each if there is one.
  """
  fields = differences.from_defaults(config)
  others = (*FREE, *LENGTH, *TOLD, *DATA, *WEIGHTS.values())
  counted = {
    k: v for k, v in fields.items() if not differences.is_of(k, others)
  }
  held = {"data": contents.get("data")}
  if contents.get("code"):
    held["code"] = contents["code"]
  for name, field in WEIGHTS.items():
    if path := fields.get(field):
      held[name] = contents.get(name) or {"name": PurePath(str(path)).name}
  return digest.of(counted, held)


def length(config: Any) -> dict[str, Any]:
  """The length of a run: its `steps` or, if they are 0, its `epochs`."""
  fields = differences.defaults() | differences.flat(config)
  chosen = "steps" if fields["steps"] else "epochs"
  return {chosen: fields[chosen]}


def of_record(
  record: Mapping[str, Any],
  others: Mapping[str, Mapping[str, Any]] | None = None,
  loaded: dict[str, Any] | None = None,
  *,
  by_name: bool = False,
) -> str:
  """Digest of a run from its record and the records of the runs before it.

  Data and weights count by their digests in the record or, without these, by
  their content now. If any of them is not on this machine, all count by their
  names: then two configs with the same names have the same digest.

  Args:
    record: has `config`, perhaps `data`, `init`, `teacher` and `code`, see
      `of_run`.
    others: records by the paths of their workdirs. If `init` or a teacher is
      one of these, it counts by the digest and the length of that record.
    loaded: digests of data that were loaded before; new ones are added.
    by_name: data and weights count by their names in any case.
  """
  loaded = {} if loaded is None else loaded
  if not by_name:
    try:
      return _of_record(record, others or {}, loaded, ())
    except _NotHereError:
      pass
  return _of_record(record, others or {}, None, ())


class _NotHereError(Exception):
  """Data or weights that are not on this machine."""


def _of_record(record, others, loaded, seen) -> str:
  """As `of_record`; `loaded` is `None` if names count.

  `seen` are the workdirs on the way here: runs that start from each other count
  once.
  """
  fields = differences.flat(record["config"])
  named = {
    k: v for k, v in fields.items() if differences.is_of(k, (*DATA, *TOLD))
  }
  contents: dict[str, Any] = {"data": named, "code": record.get("code")}
  if loaded is not None:
    contents["data"] = record.get("data") or _data(record, named, loaded)
  for name, field in WEIGHTS.items():
    path = fields.get(field)
    if not path or not isinstance(path, str):
      continue
    key = os.path.normpath(path)
    if key in seen:
      continue
    if key in others:
      before = others[key]
      chain = _of_record(before, others, loaded, (*seen, key))
      contents[name] = digest.of(chain, length(before["config"]))
    elif loaded is not None:
      contents[name] = record.get(name) or of_weights(path)
      if contents[name] is None:
        raise _NotHereError
  return of_run(record["config"], contents)


def _data(record, named: Any, loaded: dict[str, Any]) -> dict[str, str]:
  """Digests of the data that a config names; each is loaded once."""
  key = digest.of(named)
  if key not in loaded:
    loaded[key] = _loaded(record["config"])
  if loaded[key] is None:
    raise _NotHereError
  return loaded[key]


def _loaded(config: Mapping[str, Any]) -> dict[str, str] | None:
  """Digests of the data that a config names, or `None` if they are not here."""
  from bnnjax.train import datasets

  try:
    settings = config_fields.base().data.to_dict() | dict(config["data"])
    return of_data(*datasets.open_data(ConfigDict(settings)))
  except (ValueError, OSError, ImportError):
    return None
  except (KeyError, TypeError, AttributeError):
    return None  # the record is not of a run of bnnjax
