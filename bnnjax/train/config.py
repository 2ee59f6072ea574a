"""A config, resolved: checked, and with every field set.

A config file starts from `bnnjax.config.base()`, changes fields and returns it
locked. `resolve` is the one way from there into a run. It raises if a name or a
value is wrong, with the nearest name. A field that is set and that nothing
reads is an error too; a binarizer that no layer uses is a warning.
"""

from collections.abc import Mapping
from typing import Any, NewType

from ml_collections import ConfigDict

from bnnjax import deprecated
from bnnjax.data.sources import DatasetInfo
from bnnjax.train import config_check, config_fields, data_facts

Resolved = NewType("Resolved", ConfigDict)  # what `resolve` returns


def resolve(config: ConfigDict | Mapping[str, Any]) -> Resolved:
  """Checks a config and fills in what it leaves out.

  Missing fields get their defaults; `data.shape`, `data.vocab` and
  `data.num_classes` come from the source, see `data_facts`.

  Args:
    config: is not changed.

  Raises:
    ValueError: an unknown field (with the nearest name), or a value that makes
      no sense.
  """
  given = config.to_dict() if isinstance(config, ConfigDict) else dict(config)
  config_check.check_plain(given)
  resolved, defaults = config_fields.base(), config_fields.base()
  config_check.merge(resolved, given)
  config_check.check_types(resolved, defaults)
  task = config_check.check_names(resolved)
  data_facts.ask(resolved.data, task)
  config_check.check_data(info_of(resolved), task, resolved.task.name)
  config_check.check_optim(optim_of(resolved), defaults.optim)
  for stage in resolved.stages:
    config_check.check_stage(stage)
    config_check.check_optim(optim_of(resolved, stage), defaults.optim)
  return Resolved(resolved.lock())


def info_of(config: Resolved) -> DatasetInfo:
  """The facts about its data that a config states, e.g. the augmented shape."""
  settings = config.data
  return DatasetInfo(
    name=settings.name,
    shape=tuple(settings.shape),
    num_classes=settings.num_classes,
    vocab=settings.vocab,
  )


def optim_of(
  config: Resolved, stage: Mapping[str, Any] | None = None
) -> dict[str, Any]:
  """`config.optim` with the fields that differ in a stage.

  Raises:
    ValueError: the stage sets an unknown field.
  """
  merged = ConfigDict(config.optim.to_dict())
  config_check.merge(merged, (stage or {}).get("optim", {}), "optim.")
  return merged.to_dict()


__getattr__ = deprecated.old_names(
  __name__,
  {
    "base": "bnnjax.config.base",
    "make_smoke": "bnnjax.config.make_smoke",
    "parse_arg": "bnnjax.config.parse_arg",
    "check_times": "bnnjax.train.config_check.check_times",
  },
)
