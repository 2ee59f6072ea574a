"""One file per paper: formulas, citation, preset.

Importing this package registers them all. `core.registry` imports it, and the
methods of other packages, when a table is first read.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
  importlib.import_module(f"{__name__}.{_module.name}")
