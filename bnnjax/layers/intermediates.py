"""Intermediates for distillation: hidden states, queries, keys, values."""

import dataclasses
from typing import Any

from flax import nnx

from bnnjax.core.progress import Mode
from bnnjax.layers import mode as mode_lib

Intermediates = dict[str, list[Any]]
# What models sow: student and teacher are matched in these.
MATCHED = ("hidden_states", "queries", "keys", "values")


def sow(module: nnx.Module, mode: Mode | None, **values: Any) -> None:
  """Sows arrays under their names if `mode` asks for them."""
  if mode is not None and mode.sow:
    for name, value in values.items():
      module.sow(nnx.Intermediate, name, value)


def call(
  model: nnx.Module, *args: Any, mode: Mode | None = None, **kwargs: Any
) -> tuple[Any, Intermediates]:
  """Calls a model and collects its intermediates, in the order of layers.

  Without a mode the model computes as `train()` or `eval()` set it.

  Returns:
    The output, and e.g. `{"hidden_states": [...], "queries": [...], ...}`:
    hidden states `[B, T, C]` (embedding output, then every block), queries,
    keys and values `[B, T, heads, C / heads]` before they are binarized.
  """
  mode = mode_lib.mode_of_model(model) if mode is None else mode
  mode = dataclasses.replace(mode, sow=True)
  y, sown = nnx.capture(model, nnx.Intermediate)(*args, mode, **kwargs)
  left: Intermediates = {}
  found = nnx.to_flat_state(sown)
  for path, variable in sorted(found, key=lambda item: _order(item[0])):
    left.setdefault(path[-1], []).extend(variable.get_value())
  return y, left


def _order(path: tuple[Any, ...]) -> tuple[int, list[tuple[bool, Any]]]:
  """Sorts shorter paths first, and layer numbers as numbers.

  The embedding output belongs to the model itself, the rest may be in a
  `Stack`.
  """
  return len(path), [(isinstance(part, str), part) for part in path]
