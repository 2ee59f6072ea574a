"""The commands of `bnnjax`, a module each: its arguments and what it runs.

To add one, write a module with a `COMMAND` and name it here.
"""

import importlib

from bnnjax.commands.command import Command

NAMES = (
  "train", "eval", "sample", "cost", "sweep", "pareto", "report", "reproduce",
  "new", "list",
)  # fmt: skip
COMMANDS: dict[str, Command] = {
  name: importlib.import_module(f"bnnjax.commands.{name}").COMMAND
  for name in NAMES
}
