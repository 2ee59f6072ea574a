"""One file per paper: formulas, citation, preset.

Importing this package registers them all. Those of other packages, see
`core.registry`, come with the first look into a table.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
  importlib.import_module(f"{__name__}.{_module.name}")
