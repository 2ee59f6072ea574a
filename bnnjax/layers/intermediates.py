"""What layers leave for distillation: hidden states, queries, keys, values."""

import dataclasses
from typing import Any

from flax import nnx

from bnnjax.core.progress import DEPLOYED, Mode

Intermediates = dict[str, list[Any]]


def sow(module: nnx.Module, mode: Mode, **values: Any) -> None:
  """Leaves arrays under their names, if `mode` asks for them."""
  if mode.sow:
    for name, value in values.items():
      module.sow(nnx.Intermediate, name, value)


def call(
  model: nnx.Module, *args: Any, mode: Mode = DEPLOYED, **kwargs: Any
) -> tuple[Any, Intermediates]:
  """Calls a model and collects what its layers left, in the order of layers.

  Returns:
    The output, and e.g. `{"hidden_states": [...], "queries": [...], ...}`:
    hidden states `[B, T, C]` (embedding output, then every block), queries,
    keys and values `[B, T, heads, C / heads]` before they are binarized.
  """
  mode = dataclasses.replace(mode, sow=True)
  y, sown = nnx.capture(model, nnx.Intermediate)(*args, mode, **kwargs)
  left: Intermediates = {}
  found = nnx.to_flat_state(sown)
  for path, variable in sorted(found, key=lambda item: _order(item[0])):
    left.setdefault(path[-1], []).extend(variable.get_value())
  return y, left


def _order(path: tuple[Any, ...]) -> tuple[int, list[tuple[bool, Any]]]:
  """A module's own before its parts'; numbers of layers sort as numbers.

  The embedding output of a model is its own, the rest may be a `Stack`'s.
  """
  return len(path), [(isinstance(part, str), part) for part in path]
