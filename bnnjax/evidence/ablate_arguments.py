"""Arguments of `ablate`: which networks are compared, checked before a run."""

import itertools
import math
import numbers
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from bnnjax.core import spec as spec_lib
from bnnjax.errors import UserError
from bnnjax.train import config as config_lib
from bnnjax.train import config_file

LEAST_SEEDS = 2
ROLES = ("weight", "act")
Pair = tuple[str | None, str | None]


def pairs(weight: Any, act: Any) -> list[Pair]:
  """All pairs of specs; `...` stands for that of the config.

  Raises:
    UserError: fewer than two, or a spec that is none.
  """
  for role, specs in (("weight", weight), ("act", act)):
    if isinstance(specs, str) or not isinstance(specs, Sequence):
      raise UserError(
        f"`{role}` must be a list of specs, e.g. [{specs!r}]: got {specs!r}."
      )
    parsed = []
    for spec in specs:
      if spec is not None and not isinstance(spec, str):
        raise UserError(
          f"`{role}` must hold specs as text, or None for float: got"
          f" {spec!r:.80}."
        )
      try:
        parsed.append(spec_lib.parse(spec, role))
      except (ValueError, TypeError) as error:
        raise UserError(f"`{role}`: {error}") from error
    if any(made in parsed[:i] for i, made in enumerate(parsed)):
      raise UserError(f"`{role}` names a spec twice: {list(specs)}.")
  found = list(itertools.product(weight or (...,), act or (...,)))
  if len(found) < 2:
    raise UserError(
      "There is nothing to compare: give two or more specs, e.g."
      " `act=['ste', 'approx_sign']`."
    )
  return found


def check(
  lr: Sequence[float], seeds: int, held_out: float, folder: Any
) -> None:
  """Raises `UserError` for arguments out of range."""
  if isinstance(lr, str) or not isinstance(lr, Sequence):
    raise UserError(f"`lr` must be a list of rates, e.g. [0.001]: got {lr!r}.")
  rates = [rate for rate in lr if _is_number(rate) and 0 < rate < math.inf]
  if len({f"{rate:g}" for rate in rates}) < len(lr):
    raise UserError(
      f"`lr` must hold different positive rates, e.g. [0.001, 0.003]: got"
      f" {list(lr)}."
    )
  if not isinstance(seeds, int) or seeds < LEAST_SEEDS:
    raise UserError(
      f"`seeds` must be {LEAST_SEEDS} or more, for an interval: got {seeds!r}."
    )
  if not _is_number(held_out) or not 0 < held_out < 1:
    raise UserError(
      f"`held_out` must be a share between 0 and 1: got {held_out!r}."
    )
  if not isinstance(folder, str | os.PathLike) or not str(folder):
    raise UserError(f"`folder` must be a path: got {folder!r:.80}.")


def _is_number(x: Any) -> bool:
  return isinstance(x, numbers.Real) and not isinstance(x, bool)


def config_of(config: Any, pair: Pair) -> config_lib.Resolved:
  """The config of a pair, resolved.

  Raises:
    UserError: none is given, or its model does not take `weight` and `act`.
  """
  given = {k: v for k, v in zip(ROLES, pair) if v is not ...}
  function = callable(config) and not isinstance(config, ConfigDict)
  if isinstance(config, str):
    made = config_file.read_unresolved(config)
  else:
    made = config(**given) if function else config
  if not isinstance(made, ConfigDict | Mapping):
    raise UserError(
      "`config` must be a config spec such as 'configs/x.py', a ConfigDict, or a"
      f" function that returns one: got {made!r:.80}."
    )
  if function:
    return _with_specs(config_lib.resolve(made), given)
  made = ConfigDict(made).copy_and_resolve_references().unlock()
  made.model = {**dict(made.get("model", {})), **given}
  return config_lib.resolve(made)


def _with_specs(made: config_lib.Resolved, given: dict) -> config_lib.Resolved:
  """The config of a function.

  Raises:
    UserError: it does not hold the specs where records are compared by them.
  """
  for role, spec in given.items():
    held = made.model.get(role)
    if held != spec:
      raise UserError(
        f"The function must set `config.model.{role}` to the spec that it is"
        f" given: got {held!r} for {spec!r}."
      )
  return made
