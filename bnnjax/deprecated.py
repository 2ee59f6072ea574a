"""Names of the version before: they still import, with a DeprecationWarning.

`MOVED` is the whole list; the CHANGELOG prints it. An entry lives for one
version.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
import warnings
from collections.abc import Callable, Mapping
from typing import Any

# Old module: the modules where its public names are now.
MOVED: dict[str, tuple[str, ...]] = {
  # core, methods
  # layers
  # models, tasks, data
  # cost
  # train: config fields, files of a run
  # train: the loop
  # report, command line
  "bnnjax.checks": ("bnnjax.plugin_files",),
  "bnnjax.listing": ("bnnjax.report.listing",),
  "bnnjax.skeleton": ("bnnjax.commands.new",),
}

# Old name in an old module: its new name, where it is another.
RENAMED: dict[str, str] = {
  # core, methods
  # layers
  # models, tasks, data
  # cost
  # train: config fields, files of a run
  # train: the loop
  # report, command line
  "bnnjax.checks.loaded": "of",
}


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
  """Finds the modules of `MOVED`, after every other finder has failed."""

  def find_spec(self, name, path=None, target=None):
    del path, target
    if name in MOVED:
      return importlib.machinery.ModuleSpec(name, self)
    return None

  def exec_module(self, module: types.ModuleType) -> None:
    name = module.__name__
    warnings.warn(
      f"The module {name} is now {' and '.join(MOVED[name])}; the old name goes"
      " with the next version.",
      DeprecationWarning,
      stacklevel=2,
    )
    module.__getattr__ = lambda attribute: _find(name, attribute)


def _find(module: str, attribute: str) -> Any:
  """What the new modules call a public name of an old one.

  Raises:
    AttributeError: none of them has it.
  """
  if not attribute.startswith("_"):
    new = RENAMED.get(f"{module}.{attribute}", attribute)
    for name in MOVED[module]:
      found = importlib.import_module(name)
      if hasattr(found, new):
        return getattr(found, new)
  raise AttributeError(f"module {module!r} has no attribute {attribute!r}")


def old_names(module: str, moved: Mapping[str, str]) -> Callable[[str], Any]:
  """`__getattr__` of a module that stays, for names that left it.

  Args:
    module: `__name__` of the module.
    moved: the new place of each old name.

  Example:
    >>> __getattr__ = old_names(__name__, {"make_smoke": "bnnjax.config.make_smoke"})
  """

  def get(attribute: str) -> Any:
    if attribute not in moved:
      raise AttributeError(f"module {module!r} has no attribute {attribute!r}")
    new = moved[attribute]
    warnings.warn(
      f"{module}.{attribute} is now {new}; the old name goes with the next"
      " version.",
      DeprecationWarning,
      stacklevel=2,
    )
    place, _, name = new.rpartition(".")
    return getattr(importlib.import_module(place), name)

  return get


def install() -> None:
  """Lets Python find old module names, once."""
  if not any(isinstance(finder, Finder) for finder in sys.meta_path):
    sys.meta_path.append(Finder())
