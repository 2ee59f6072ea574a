"""Tasks by name, each a loss and an evaluation: `build({"name": "masked_lm"})`.

To add a task, subclass `base.Task`, register it and import its module here;
`docs/your_own_layers.md` has an example outside this package.
"""

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
  name = config["name"]
  known = registry.accepts("task", name)
  registry.check_names(f"argument of task {name!r}", arguments, known)
  return registry.get("task", name)(**arguments)
