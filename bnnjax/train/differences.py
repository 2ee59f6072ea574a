"""Compares two runs field by field, and says in words what differs.

The tables say which fields of a config affect what a run computes; `identity`
takes the digest of those fields.
"""

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from bnnjax.data import digest
from bnnjax.train import config_fields

# Fields that do not affect what is computed.
FREE = (
  "mesh",
  "log_every",
  "tensorboard",
  "data.threads",
  "checkpoint",
  "load",
)
LENGTH = ("epochs", "steps")
TOLD = ("data.shape", "data.num_classes", "data.vocab")
# Fields that only name content: the content itself is compared.
DATA = ("data.name", "data.options", "data.train_split", "data.eval_split")
WEIGHTS = {"init": "init", "teacher": "task.distill.teacher"}
_PLACES = ("data.options.path", "data.options.data_dir", "data.name")
UNSET = object()


def difference(
  theirs: Mapping[str, Any], ours: Mapping[str, Any]
) -> str | None:
  """The first difference between two identities in words, or `None`.

  Parts that one of them lacks are not compared; but if both have a config and
  one lacks a digest of its data, `init` or teacher, their names are compared.
  The length (`LENGTH` and `stages`) is left to the caller, since a run may
  become longer.

  Args:
    theirs: identity of the run "there", as a checkpoint stores it.
    ours: identity of the run "here".

  Example:
    >>> difference({"config": {"seed": 1}}, {"config": {"seed": 2}})
    '`seed` is 1 there and 2 here'
  """
  there, here = flat(theirs.get("config")), flat(ours.get("config"))
  skipped = [*FREE, *LENGTH, "stages"]
  if theirs.get("data") and ours.get("data"):
    skipped += [*DATA, *TOLD]
  skipped += [
    field
    for name, field in WEIGHTS.items()
    if theirs.get(name) and ours.get(name)
  ]
  if theirs.get("config") and ours.get("config"):
    changed = _changes(there, here)
    for key, words in changed.items():
      if not is_of(key, skipped):
        return words
  return (
    _other_data(theirs, ours, there, here)
    or _other_weights(theirs, ours, there, here)
    or _other_code(theirs, ours)
  )


def free_changes(
  theirs: Mapping[str, Any], ours: Mapping[str, Any]
) -> list[str]:
  """The differences between two configs that are allowed, in words.

  These are the fields of `FREE`, and names of data and weights whose content is
  the same.
  """
  free = list(FREE)
  if theirs.get("data") and theirs.get("data") == ours.get("data"):
    free += DATA
  for name, field in WEIGHTS.items():
    if theirs.get(name) and theirs.get(name) == ours.get(name):
      free.append(field)
  changed = _changes(flat(theirs.get("config")), flat(ours.get("config")))
  return [words for key, words in changed.items() if is_of(key, free)]


def _other_data(theirs, ours, there, here) -> str | None:
  their, our = theirs.get("data") or {}, ours.get("data") or {}
  splits = {"train": "training", "eval": "evaluation"}
  for part, word in splits.items():
    if part not in their or part not in our or their[part] == our[part]:
      continue
    changed = {k: v for k, v in _changes(there, here).items() if is_of(k, DATA)}
    if changed:
      return f"the {word} data differ: {next(iter(changed.values()))}"
    place = next((p for p in _PLACES if here.get(p)), None)
    where = f"`{place}` {here[place]!r} holds" if place else "they hold"
    return (
      f"the {word} data have changed: {where} different content than when the"
      " run began"
    )
  words = {side["vocabulary"] for side in (their, our) if "vocabulary" in side}
  if len(words) > 1:
    return "the vocabulary of the data (what a token means) differs"
  return None


def _other_weights(theirs, ours, there, here) -> str | None:
  for name, field in WEIGHTS.items():
    their, our = theirs.get(name), ours.get(name)
    if not their or not our or their == our:
      continue
    path, before = here.get(field), there.get(field)
    also = f", where it was {before!r}" if before and before != path else ""
    return f"`{field}` {path!r}{also} holds different weights than when the run began"
  return None


def _other_code(theirs, ours) -> str | None:
  their, our = theirs.get("code") or {}, ours.get("code") or {}
  for name in sorted(their.keys() & our.keys()):
    if their[name] != our[name]:
      return f"the code of the {name} has changed since the run began"
  return None


def _changes(
  there: Mapping[str, Any], here: Mapping[str, Any]
) -> dict[str, str]:
  """Fields that differ, with the words. A missing field has its default."""
  found = {}
  for key in sorted({*there, *here}):
    default = defaults().get(key, UNSET)
    their, our = there.get(key, default), here.get(key, default)
    if their != our:
      found[key] = f"`{key}` is {_shown(their)} there and {_shown(our)} here"
  return found


def _shown(value: Any) -> str:
  return "not set" if value is UNSET else repr(value)


@functools.cache
def defaults() -> dict[str, Any]:
  """The fields of `config_fields.base()`."""
  return flat(config_fields.base())


def from_defaults(config: Any) -> dict[str, Any]:
  """The fields that differ from their defaults."""
  return {
    key: value
    for key, value in flat(config).items()
    if value != defaults().get(key, UNSET)
  }


def is_of(key: str, groups: Iterable[str]) -> bool:
  """Whether a field is one of `groups` or belongs to one."""
  return any(key == group or key.startswith(f"{group}.") for group in groups)


def flat(config: Any) -> dict[str, Any]:
  """Fields by dotted name, as plain JSON (see `digest.plain`).

  Example:
    >>> flat({"optim": {"lr": 0.1}, "stages": ()})
    {'optim.lr': 0.1, 'stages': []}
  """
  config = {} if config is None else config
  values = config.to_dict() if hasattr(config, "to_dict") else config
  return config_fields.by_dotted_name(digest.plain(values))
