"""Records of runs, and what is made of them: tables, figures, pages.

runs = bx.report.load("experiments/results/*.jsonl")
"""

import importlib

_NAMES = {
  "Runs": "bnnjax.report.runs",
  "load": "bnnjax.report.runs",
}
__all__ = sorted(_NAMES)


def __getattr__(name: str):
  if name not in _NAMES:
    raise AttributeError(f"module 'bnnjax.report' has no attribute {name!r}")
  value = getattr(importlib.import_module(_NAMES[name]), name)
  globals()[name] = value
  return value


def __dir__():
  return __all__
