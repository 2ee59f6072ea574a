"""One file per paper: formulas, citation, preset.

Importing this package registers them all, and those of other packages that
declare an entry point in the group `bnnjax.methods`. One of these that cannot
be imported is warned of, and an unknown name then mentions it.
"""

import importlib
import importlib.metadata
import pkgutil
import warnings

from bnnjax.core import registry

for _module in pkgutil.iter_modules(__path__):
  importlib.import_module(f"{__name__}.{_module.name}")
for _entry in importlib.metadata.entry_points(group="bnnjax.methods"):
  try:
    _entry.load()
  except Exception as _error:  # somebody's code: anything can go wrong in it
    _what = (
      f"The plugin {_entry.name!r} ({_entry.value}) cannot be imported:"
      f" {type(_error).__name__}: {_error}"
    )
    registry.missing(_what)
    warnings.warn(f"{_what}. What it registers is not known.", stacklevel=2)
