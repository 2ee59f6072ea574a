"""The `distill` setting of a task: fields, defaults and published presets."""

from collections.abc import Mapping
from typing import Any

from bnnjax.core import registry
from bnnjax.core.number_checks import number
from bnnjax.core.settings import Settings
from bnnjax.layers.intermediates import MATCHED

DEFAULTS = {
  "teacher": "",
  "preset": "",
  "temperature": 1.0,
  "weight": 1.0,
  "label_weight": None,
  "logit_weight": None,
  "class_mean": False,
  "match": {},
  "ignore_padding": False,
}
PRESETS = {
  # softCE + 0.5 NLL + L_q + L_k + L_v + L_hid (quant_task_glue.py).
  "bibert": {
    "label_weight": 0.5,
    "logit_weight": 1.0,
    "class_mean": True,
    "match": dict.fromkeys(MATCHED, "direction"),
  },
  # L_real + L_cls + L_rep (learner.py). L_cls is that of the next-sentence
  # logits: masked language modelling has none and sets `logit_weight` to 0.
  "bipft": {
    "label_weight": 1.0,
    "logit_weight": 1.0,
    "class_mean": True,
    "match": {"hidden_states": "mse"},
  },
}


def read(settings: Mapping[str, Any] | None) -> Settings:
  """The fields of `distill`, with those of the preset and the defaults.

  Raises:
    ValueError: not a dict, an unknown field or preset, a missing teacher.
  """
  if settings is not None and not hasattr(settings, "items"):
    raise ValueError(
      f"`distill` is a dict of settings with `teacher`, got {settings!r}."
    )
  given = dict(settings or {})
  Settings("distill", given, DEFAULTS)  # report a typo before a missing teacher
  if given and not given.get("teacher"):
    raise ValueError("`task.distill` needs `teacher`: a trained run's workdir.")
  preset = given.get("preset", "")
  if preset and preset not in PRESETS:
    raise registry.unknown("`distill.preset`", preset, PRESETS)
  for name in ("class_mean", "ignore_padding"):
    if not isinstance(given.get(name, False), bool):
      raise ValueError(
        f"`distill.{name}` must be True or False, got {given[name]!r}."
      )
  return Settings("distill", given, {**DEFAULTS, **PRESETS.get(preset, {})})


def parse_match(match: Any) -> dict[str, tuple[str, float]]:
  """Distance and weight of each kind of intermediates to match.

  Raises:
    ValueError: not a dict, an unknown name or distance, a negative weight.

  Example:
    >>> parse_match({"queries": "direction", "hidden_states": ("mse", 0.1)})
    {'queries': ('direction', 1.0), 'hidden_states': ('mse', 0.1)}
  """
  if isinstance(match, (str, tuple, list)):
    raise ValueError(
      "`distill.match` maps names to distances, such as {'queries':"
      f" 'direction'}}, got {match!r}. Published choices are `preset`s."
    )
  parsed = {}
  for name, entry in dict(match).items():
    if name not in MATCHED:
      raise registry.unknown("name in `distill.match`", name, MATCHED)
    pair = (entry, 1.0) if isinstance(entry, str) else entry
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
      raise ValueError(
        f"`distill.match` of {name!r} must be a distance or (distance, weight),"
        f" got {entry!r}."
      )
    distance, weight = pair
    registry.get("distance", distance)
    number(f"distill.match` weight of `{name}", weight, 0)
    parsed[name] = (distance, weight)
  return parsed
