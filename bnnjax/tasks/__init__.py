"""What a loss and an evaluation mean: `build({"name": "classification"})`.

`base.Task` is what all of them are, those outside the package too.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from bnnjax.core import registry
from bnnjax.tasks import (  # noqa: F401 (each registers itself)
  classification,
  language_modeling,
  masked_lm,
)


def build(config: Mapping[str, Any]):
  """Builds a task from its config.

  Raises:
    ValueError: unknown task or argument, with the nearest name.
  """
  arguments = {k: v for k, v in dict(config).items() if k != "name"}
  task = registry.get("task", config["name"])
  known = list(inspect.signature(task).parameters)
  for key in arguments:
    if key not in known:
      raise registry.unknown(f"argument of task {config['name']!r}", key, known)
  return task(**arguments)
