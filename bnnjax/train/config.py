"""A config, resolved: checked, and with every field set.

A config file starts from `bnnjax.config.base()`, changes fields and returns it
locked. `resolve` is the one way from there into a run. It raises if a name or a
value is wrong, with the nearest name. A field that is set and that nothing
reads is an error too; a binarizer that no layer uses is a warning.
"""

import dataclasses
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


@dataclasses.dataclass(frozen=True)
class StageSettings:
  """An entry of `config.stages`, with what it takes over from the config.

  Attributes:
    until: end, a fraction of the run or a step.
    restart: whether optimizer and schedule start anew.
    model: fields of `config.model`, those of the entry first.
    optim: fields of `config.optim`, those of the entry first.
    own: fields of `optim` that are meant for this stage: those of the entry, or
      all if it is the only one.
  """

  until: float | int
  restart: bool
  model: dict[str, Any]
  optim: dict[str, Any]
  own: dict[str, Any]


def stages_of(config: Resolved) -> list[StageSettings]:
  """The stages of a run; a config without any has one, the whole run."""
  found = []
  for stage in config.stages or ({"until": 1.0},):
    optim = optim_of(config, stage)
    several = len(config.stages) > 1
    found.append(
      StageSettings(
        until=stage["until"],
        restart=bool(stage.get("restart", False)),
        model={**config.model.to_dict(), **stage.get("model", {})},
        optim=optim,
        own=dict(stage.get("optim", {})) if several else optim,
      )
    )
  return found


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
