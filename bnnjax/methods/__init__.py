"""One file per paper: formulas, citation, preset.

Importing this package registers them all, and those of other packages that
declare an entry point in the group `bnnjax.methods`.
"""

import importlib
import importlib.metadata
import pkgutil

for _module in pkgutil.iter_modules(__path__):
  importlib.import_module(f"{__name__}.{_module.name}")
for _entry in importlib.metadata.entry_points(group="bnnjax.methods"):
  _entry.load()
