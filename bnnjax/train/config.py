"""The check of a training config; `bnnjax.train.fields` lists its fields.

A config file starts from `base()`, changes fields and returns it locked; a
typo in the file or on the command line is answered with the nearest name. What
is set and read by nothing is refused, a binarizer that no layer uses warned of.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from bnnjax import models, tasks  # noqa: F401 (the first registers names)
from bnnjax.core import numbers, registry
from bnnjax.core.progress import to_step
from bnnjax.data.sources import DatasetInfo
from bnnjax.errors import UserError
from bnnjax.tasks import base as task_lib
from bnnjax.tasks import checks as task_checks
from bnnjax.train import facts, fields, optim_options
from bnnjax.train.config_arg import parse_arg  # noqa: F401 (configs use it)
from bnnjax.train.config_types import LARGEST, check_types
from bnnjax.train.fields import OPEN, base
from bnnjax.train.smoke import make_smoke  # noqa: F401 (configs use it)

STAGE_FIELDS = ("until", "model", "optim", "restart")


def resolve(config: ConfigDict | Mapping[str, Any]) -> ConfigDict:
  """Fills missing fields with defaults and checks names and ranges.

  What is not said of the data (`data.shape`, `data.vocab`, `data.num_classes`)
  is asked of their source, see `facts`.

  Raises:
    ValueError: an unknown field (with the nearest name), or a value that cannot
      be meant.
  """
  defaults = base()
  given = config.to_dict() if isinstance(config, ConfigDict) else dict(config)
  _check_plain(given)
  _merge(defaults, given, "")
  _check(defaults)
  return defaults.lock()


def _check_plain(given: Mapping[str, Any], path: str = "") -> None:
  """Refuses what JSON cannot hold, as a run's config.json has to."""
  for key, value in given.items():
    name = f"{path}{key}"
    if isinstance(value, Mapping) and isinstance(key, str):
      _check_plain(value, f"{name}.")
    elif not isinstance(key, str) or not fields.is_plain(value):
      raise UserError(
        f"Config field {name!r} must be of numbers, texts and tuples, got"
        f" {value!r}."
      )


def _merge(defaults: ConfigDict, given: Mapping[str, Any], path: str) -> None:
  for key, value in given.items():
    name = f"{path}{key}"
    if path.rstrip(".") not in OPEN and key not in defaults:
      raise registry.unknown(
        "config field", name, [f"{path}{k}" for k in defaults]
      )
    if isinstance(defaults.get(key), ConfigDict):
      if not isinstance(value, Mapping):
        raise ValueError(f"Config field {name!r} has fields, got {value!r}.")
      _merge(defaults[key], value, f"{name}.")
    else:
      default = defaults.get(key)
      if isinstance(value, bool) and isinstance(default, float):
        # ConfigDict would make it 1.0.
        raise ValueError(f"Config field {name!r} is a number, got {value!r}.")
      with defaults.ignore_type():
        defaults[key] = value


def _check(config: ConfigDict) -> None:
  check_types(config, base())
  for name, (kind, value) in {
    "model.name": ("model", config.model.name),
    "task.name": ("task", config.task.name),
  }.items():
    if not value:
      raise ValueError(f"Config field {name!r} is not set.")
    registry.get(kind, value)
  task = tasks.build(config.task)
  task_checks.check_task(config.task.name, task)
  _check_model(task, config.task.name, config.model.name)
  for size in config.data.shape:
    whole = isinstance(size, int) and not isinstance(size, bool)
    if not whole or not 1 <= size <= LARGEST[int]:
      raise ValueError(
        "Config field 'data.shape' must be of ints above 0, got"
        f" {tuple(config.data.shape)}."
      )
  facts.ask(config)
  if "num_classes" in task.needs and not config.data.num_classes:
    raise ValueError(
      "Config field 'data.num_classes' must be above 0 for the task"
      f" {config.task.name!r}, got 0."
    )
  task.check_data(info_of(config))
  shape = tuple(config.data.shape)
  if config.data.vocab and len(shape) != 1:
    raise ValueError(
      "Config field 'data.shape' of a text (`data.vocab` is"
      f" {config.data.vocab}) must be (tokens,), e.g. (128,): got {shape}."
    )
  optim_of(config, {})
  for stage in config.stages:
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
    numbers.int32s("stages.model", stage.get("model", {}))
    optim_of(config, stage)


def _check_model(task: task_lib.Task, name: str, model: str) -> None:
  """Refuses a model that a task can do nothing with."""
  made = registry.get("model", model)
  takes = registry.accepts("model", model)
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


def info_of(config: ConfigDict) -> DatasetInfo:
  """What a config says of its data, the shape after augmentation."""
  settings = config.data
  return DatasetInfo(
    name=settings.name,
    shape=tuple(settings.shape),
    num_classes=settings.num_classes,
    vocab=settings.vocab,
  )


def optim_of(config: ConfigDict, stage: Mapping[str, Any]) -> dict[str, Any]:
  """`config.optim` with the fields that differ in a stage.

  Raises:
    ValueError: an unknown field (with the nearest name), or a value that cannot
      be meant.
  """
  merged = base()
  for given in (config.optim.to_dict(), stage.get("optim", {})):
    _merge(merged, {"optim": given}, "")
  check_types(merged.optim, base().optim, "optim.")
  latent = base()  # its fields are those of `optim`, in type and range
  try:
    _merge(latent, {"optim": merged.optim.latent.to_dict()}, "")
    check_types(latent.optim, base().optim, "optim.")
  except ValueError as error:
    raise ValueError(f"In `optim.latent`: {error}") from None
  chosen = merged.optim.to_dict()
  for given in (chosen, {**chosen, **chosen["latent"]}):
    optim_options.check(given["name"], given["options"])
  return merged.optim.to_dict()


Required = Sequence[tuple[int, Mapping[str, int]]]


def check_times(config: ConfigDict, steps: int, required: Required):
  """Refuses a run that ends before something that it needs.

  Args:
    config: resolved.
    steps: optimizer steps of the run.
    required: first step of each stage, and the events that its binarizers
      cannot do without, with the number of binarizers.

  Returns:
    Events as `[(step, name), ...]`, sorted.

  Raises:
    ValueError: a required event is missing or comes before the binarizers that
      need it, an event or the start of weight quantization comes at or after
      the end.
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


def _inside(when, steps: int, what: str) -> int:
  step = to_step(when, steps)
  if step >= steps:
    raise ValueError(
      f"The run ends after {steps} steps, before {what} at {when!r} (step"
      f" {step}): its network would never be the quantized one. Train longer or"
      " set an earlier time."
    )
  return step
