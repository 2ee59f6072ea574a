"""Checks of a training config: names, types, ranges, times.

Types and ranges are read off the defaults of `config_fields`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from bnnjax import models, tasks  # noqa: F401 (the first registers names)
from bnnjax.core import number_checks, registry
from bnnjax.core.progress import to_step
from bnnjax.data.sources import DatasetInfo
from bnnjax.errors import UserError
from bnnjax.tasks import checks as task_checks
from bnnjax.tasks.base import Task
from bnnjax.train import config_fields, optim_options
from bnnjax.train.config_fields import OPEN

POSITIVE = (
  "eval_every", "log_every", "data.batch_size",
  "data.eval_batch_size", "optim.lr", "optim.accumulate",
  "mesh.fsdp", "mesh.tensor",
)  # fmt: skip
# Steps and sizes are int32, rates float32.
LARGEST = {int: number_checks.INT32, float: float(np.finfo(np.float32).max)}
MOST = {
  "seed": 2**32 - 1,  # of grain
  # A batch is padded to its size, and every thread or process is started:
  # larger numbers stall the machine.
  "data.batch_size": 2**24,
  "data.eval_batch_size": 2**24,
  "data.threads": 1024,
  "data.workers": 1024,
}
STAGE_FIELDS = ("until", "model", "optim", "restart")


def check_plain(given: Mapping[str, Any], path: str = "") -> None:
  """Raises if JSON, and so a run's config.json, cannot hold a value."""
  for key, value in given.items():
    name = f"{path}{key}"
    if isinstance(value, Mapping) and isinstance(key, str):
      check_plain(value, f"{name}.")
    elif not isinstance(key, str) or not config_fields.is_plain(value):
      raise UserError(
        f"Config field {name!r} must hold numbers, strings and tuples, got"
        f" {value!r}."
      )


def merge(config: ConfigDict, given: Mapping[str, Any], path: str = "") -> None:
  """Sets the given fields of a config, in place.

  Args:
    config: has all fields, but those of open groups.
    given: fields, nested as in `config`.
    path: dotted name of the group that `config` is, with a dot at the end.

  Raises:
    ValueError: there is no such field (with the nearest name), it is a group,
      or a bool stands for a number.
  """
  for key, value in given.items():
    name = f"{path}{key}"
    if path.rstrip(".") not in OPEN and key not in config:
      known = [f"{path}{k}" for k in config]
      raise registry.unknown("config field", name, known)
    before = config.get(key)
    if isinstance(before, ConfigDict):
      if not isinstance(value, Mapping):
        raise ValueError(f"Config field {name!r} has fields, got {value!r}.")
      merge(before, value, f"{name}.")
    else:
      if isinstance(value, bool) and isinstance(before, float):
        # ConfigDict would make it 1.0.
        raise ValueError(f"Config field {name!r} is a number, got {value!r}.")
      with config.ignore_type():
        config[key] = value


def check_types(
  config: Mapping[str, Any], defaults: ConfigDict, path: str = ""
) -> None:
  """Raises if a field has another type than its default, or is out of range.

  Args:
    config: the group.
    defaults: the same group with its defaults.
    path: dotted name of the group, with a dot at the end.

  Raises:
    ValueError: names the field.
  """
  for key, default in defaults.items():
    name, value = f"{path}{key}", config[key]
    if name in OPEN:
      number_checks.int32s(f"Config field {name}", value)
    elif isinstance(default, ConfigDict):
      check_types(value, default, f"{name}.")
    else:
      _check_type(name, value, type(default))
      if isinstance(value, (int, float)) and not isinstance(value, bool):
        _check_range(name, value, MOST.get(name, LARGEST[type(default)]))


def _check_type(name: str, value: Any, kind: type) -> None:
  wanted = {float: (int, float), tuple: (tuple, list)}.get(kind, kind)
  if name in ("data.augment", "data.eval_augment"):
    wanted = (tuple, list, str)
  wrong_bool = isinstance(value, bool) and kind is not bool
  if not isinstance(value, wanted) or wrong_bool:
    article = "an" if kind is int else "a"
    raise ValueError(
      f"Config field {name!r} must be {article} {kind.__name__}, got {value!r}."
    )


def _check_range(name: str, value: float, most: float) -> None:
  least = "above 0" if name in POSITIVE else "0 or above"
  fits = value > 0 if name in POSITIVE else value >= 0
  if not fits or value == math.inf:
    raise ValueError(
      f"Config field {name!r} must be {least} and finite, got {value!r}."
    )
  if value > most:
    raise ValueError(
      f"Config field {name!r} must be at most {most}, got {value!r}."
    )


def check_names(config: ConfigDict) -> Task:
  """Checks that the model and the task exist and fit, and the data's shape.

  Returns:
    The task, built.

  Raises:
    ValueError: an unknown name (with the nearest), a wrong argument of the
      task, a model that the task cannot use, or an impossible shape.
  """
  model, name = config.model.name, config.task.name
  for field, value in {"model.name": model, "task.name": name}.items():
    if not value:
      raise ValueError(f"Config field {field!r} is not set.")
  made, takes = registry.get("model", model), registry.accepts("model", model)
  task = tasks.build(config.task)
  task_checks.check_task(name, task)
  lacking = [f"argument `{need}`" for need in task.needs if need not in takes]
  if not hasattr(made, task.method):
    lacking.append(f"method `{task.method}`")
  if lacking:
    raise ValueError(
      f"Task {name!r} needs a model with the {' and the '.join(lacking)}:"
      f" {model!r} is another kind of model."
    )
  if task.causal and not hasattr(made, "empty_caches"):
    raise ValueError(
      f"Task {name!r} needs a model that reads from left to right, such as"
      f" 'mamba' or 'decoder': {model!r} does not."
    )
  for size in config.data.shape:
    whole = isinstance(size, int) and not isinstance(size, bool)
    if not whole or not 1 <= size <= LARGEST[int]:
      raise ValueError(
        "Config field 'data.shape' must hold ints above 0, got"
        f" {tuple(config.data.shape)}."
      )
  return task


def check_data(info: DatasetInfo, task: Task, name: str) -> None:
  """Raises if the task of that name cannot use the data, see `info_of`."""
  if "num_classes" in task.needs and not info.num_classes:
    raise ValueError(
      "Config field 'data.num_classes' must be above 0 for the task"
      f" {name!r}, got 0."
    )
  task.check_data(info)
  if info.vocab and len(info.shape) != 1:
    raise ValueError(
      "Config field 'data.shape' of a text (`data.vocab` is"
      f" {info.vocab}) must be (tokens,), e.g. (128,): got {info.shape}."
    )


def check_stage(stage: Any) -> None:
  """Raises if an entry of `config.stages` is not a stage."""
  if not isinstance(stage, Mapping):
    raise ValueError(f"A stage is a dict with `until`, got {stage!r}.")
  for key in stage:
    if key not in STAGE_FIELDS:
      raise registry.unknown("stage field", key, STAGE_FIELDS)
  for key in ("model", "optim"):
    if not isinstance(stage.get(key, {}), Mapping):
      raise ValueError(
        f"`{key}` of a stage is a dict of the fields that differ, got"
        f" {stage[key]!r}."
      )
  if "until" not in stage:
    raise ValueError(f"A stage needs `until`, got {dict(stage)}.")
  if not isinstance(stage.get("restart", False), bool):
    raise ValueError(
      f"`restart` of a stage is True or False, got {stage['restart']!r}."
    )
  number_checks.int32s("stages.model", stage.get("model", {}))


def check_optim(optim: Mapping[str, Any], defaults: ConfigDict) -> None:
  """Checks the optimizer of all weights, and that of latent ones.

  Args:
    optim: of a stage, see `config.optim_of`.
    defaults: of the group `optim`.

  Raises:
    ValueError: an unknown field or option, a wrong type, or out of range.
  """
  check_types(optim, defaults, "optim.")
  latent = ConfigDict(defaults.to_dict())
  try:
    merge(latent, optim["latent"], "optim.")
    check_types(latent, defaults, "optim.")
  except ValueError as error:
    raise ValueError(f"In `optim.latent`: {error}") from None
  for given in (optim, {**optim, **optim["latent"]}):
    optim_options.check(given["name"], given["options"])


def check_times(
  config: ConfigDict,
  steps: int,
  required: Sequence[tuple[int, Mapping[str, int]]],
) -> list[tuple[int, str]]:
  """Raises if a run ends before an event or stage that it needs.

  Args:
    config: resolved.
    steps: optimizer steps of the run.
    required: for each stage its first step, and the events without which its
      binarizers stay unset, each with the number of those binarizers.

  Returns:
    Events as `[(step, name), ...]`, sorted.

  Raises:
    ValueError: a required event is missing or comes before the binarizers that
      need it; or an event, or the start of weight quantization, comes at or
      after the end.

  Example:
    Of 100 steps, the second half has 3 binarizers that `calibrate` sets:

    >>> config.events = ((0.5, "calibrate"),)
    >>> check_times(config, 100, [(0, {}), (50, {"calibrate": 3})])
    [(50, 'calibrate')]
  """
  events = []
  known = {*registry.registered("event")}.union(*(r for _, r in required))
  for entry in config.events:
    if not isinstance(entry, (tuple, list)) or len(entry) != 2:
      raise ValueError(f"An event is (when, name), got {entry!r}.")
    when, name = entry
    if not isinstance(name, str) or name not in known:
      raise registry.unknown("event", name, known)
    events.append((_inside(when, steps, f"event {name!r}"), name))
  before: Mapping[str, int] = {}
  for begins, needed in required:
    for name, count in needed.items():
      late = any(n == name and at >= begins for at, n in events)
      if count > before.get(name, 0) and not late:
        where = f" at step {begins} or later" if begins else ""
        raise ValueError(
          f"The model needs the event {name!r}{where} (until then some of its"
          " binarizers are not set): add it to `config.events`, e.g."
          f" (({begins or 0.0625}, {name!r}),)."
        )
    before = needed
  start = config.model.get("quant_start", 0)
  if start:
    _inside(start, steps, "`model.quant_start`")
  return sorted(events)


def _inside(when: float, steps: int, what: str) -> int:
  """The step of a time, which must come before the end of the run."""
  step = to_step(when, steps)
  if step >= steps:
    raise ValueError(
      f"The run ends after {steps} steps, before {what} at {when!r} (step"
      f" {step}): its network would never be the quantized one. Train longer or"
      " set an earlier time."
    )
  return step
