"""What a run is: digests of its config, of its data and of arrays.

A run is what it computes. Its digest leaves out where it runs (`mesh`, threads,
workdir), what it shows, how long it is (`differences`), and what the data
tell anyway; data, `init` and teacher count by what they hold, not by
their names. So the digest of a run is the same wherever its files lie, and
another one as soon as anything is changed that its result depends on.

An identity is `{"config": ..., "data": ..., "init": ..., "teacher": ..., "run":
...}`: the resolved config as JSON, and digests. It is kept with every
checkpoint, and `differences` names what is another in a second one.
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
  """Digests of both splits, and of what a token of texts means."""
  found = {"train": train.digest(), "eval": evaluation.digest()}
  if vocabulary := train.vocabulary():
    found["vocabulary"] = vocabulary
  return found


def of_arrays(tree: Any) -> str:
  """Digest of the arrays of a tree, each with its path, type and shape.

  The same however devices share them, and whatever kind of container (dict,
  tuple, dataclass) a node is. Leaves come to the host one by one.

  Raises:
    RuntimeError: an array of which other processes hold a part.
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
  """Digest of a network of those of `params`, `rest` and, if any, `ema`."""
  average = [digests["ema"]] if "ema" in digests else []
  return digest.of(digests["params"], digests["rest"], *average)


def of_weights(path: str) -> str | None:
  """Digest of what `init` or a teacher holds.

  Args:
    path: workdir of a run (the arrays of its last checkpoint; its config as
      long as it has none), a file of weights, an index of several, or a folder
      of these (their bytes).

  Returns:
    The digest, or `None` where there is nothing that can be read: who needs
    the weights says what is wrong.
  """
  # They import this module.
  from bnnjax.models import pretrained_files
  from bnnjax.train import initial

  try:
    if initial.is_run(path):
      return _of_run_in(path)
    return digest.of_files(pretrained_files.all_of(path))
  except (ValueError, OSError):
    return None


def _of_run_in(workdir: str) -> str | None:
  """Digest of the network that a run has come to."""
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
    config: resolved, a ConfigDict or as JSON (also of an older version, which
      lacks fields that are new since).
    contents: `data` as of `of_data`, and `init` and `teacher` as of
      `of_weights`, each if there is one.
  """
  fields = differences.from_defaults(config)
  others = (*FREE, *LENGTH, *TOLD, *DATA, *WEIGHTS.values())
  counted = {
    k: v for k, v in fields.items() if not differences.is_of(k, others)
  }
  held = {"data": contents.get("data")}
  for name, field in WEIGHTS.items():
    if path := fields.get(field):
      held[name] = contents.get(name) or {"name": PurePath(str(path)).name}
  return digest.of(counted, held)


def length(config: Any) -> dict[str, Any]:
  """How long a run is: `steps`, or without them `epochs`."""
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
  """Digest of a run by its record, and by the records of the runs before it.

  Data and weights count by the digests that the record has of them, else by
  what they hold now. If some are not on this machine, all count by their names:
  then two configs of the same names agree.

  Args:
    record: has `config`, perhaps `data`, `init` and `teacher`, see `of_run`.
    others: records by the paths of their workdirs; a run whose `init` or
      teacher is one of these counts it by the digest of that record and its
      length.
    loaded: digests of data that were loaded before, by what names them; is
      added to.
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
  """`of_record`; `loaded` is `None` where names count."""
  fields = differences.flat(record["config"])
  named = {
    k: v for k, v in fields.items() if differences.is_of(k, (*DATA, *TOLD))
  }
  contents: dict[str, Any] = {"data": named}
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
  """Digests of the data that a config names, loaded once."""
  key = digest.of(named)
  if key not in loaded:
    loaded[key] = _loaded(record["config"])
  if loaded[key] is None:
    raise _NotHereError
  return loaded[key]


def _loaded(config: Mapping[str, Any]) -> dict[str, str] | None:
  """Digests of the data that a config names; `None`: they are not here."""
  from bnnjax.train import datasets

  try:
    settings = config_fields.base().data.to_dict() | dict(config["data"])
    return of_data(*datasets.open_data(ConfigDict(settings)))
  except (ValueError, OSError, ImportError):
    return None
  except (KeyError, TypeError, AttributeError):
    return None  # the record is no run's of ours
