"""Types and ranges of config fields, read off their defaults."""

import math

import numpy as np
from ml_collections import ConfigDict

from bnnjax.core import numbers
from bnnjax.train.fields import OPEN

POSITIVE = (
  "eval_every", "log_every", "data.batch_size",
  "data.eval_batch_size", "optim.lr", "optim.accumulate",
  "mesh.fsdp", "mesh.tensor",
)  # fmt: skip


# Steps and sizes are int32, rates float32.
LARGEST = {int: numbers.INT32, float: float(np.finfo(np.float32).max)}
MOST = {
  "seed": 2**32 - 1,  # of grain
  # A batch is padded to its size, a thread and a process are started: beyond
  # these the machine stands still.
  "data.batch_size": 2**24,
  "data.eval_batch_size": 2**24,
  "data.threads": 1024,
  "data.workers": 1024,
}


def check_types(
  config: ConfigDict, defaults: ConfigDict, path: str = ""
) -> None:
  """Refuses a field of another type than its default, or out of range.

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
      numbers.int32s(f"Config field {name}", value)
      continue
    if isinstance(default, ConfigDict):
      check_types(value, default, f"{name}.")
      continue
    wanted = {float: (int, float), tuple: (tuple, list)}.get(
      type(default), type(default)
    )
    if name in ("data.augment", "data.eval_augment"):
      wanted = (tuple, list, str)
    wrong_bool = isinstance(value, bool) and not isinstance(default, bool)
    if not isinstance(value, wanted) or wrong_bool:
      raise ValueError(
        f"Config field {name!r} must be a {type(default).__name__}, got"
        f" {value!r}."
      )
    if isinstance(value, (int, float)) and not isinstance(value, bool):
      least = "above 0" if name in POSITIVE else "0 or above"
      fits = value > 0 if name in POSITIVE else value >= 0
      if not fits or value == math.inf:
        raise ValueError(
          f"Config field {name!r} must be {least} and finite, got {value!r}."
        )
      most = MOST.get(name, LARGEST[type(default)])
      if value > most:
        raise ValueError(
          f"Config field {name!r} must be at most {most}, got {value!r}."
        )
