"""Names of the previous version: they still import, with a DeprecationWarning.

`MOVED`, `RENAMED` and `LEFT` are the whole list of modules and their names; the
CHANGELOG prints it. `REGISTERED` has the names that configs use. An entry lives for one version.
"""

import functools
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
  "bnnjax.core.contract": ("bnnjax.core.dot_and_conv",),
  "bnnjax.core.counted": ("bnnjax.core.declared_cost",),
  "bnnjax.core.gradient": ("bnnjax.core.gradient_quantizer",),
  "bnnjax.core.numbers": ("bnnjax.core.number_checks",),
  "bnnjax.core.floats": ("bnnjax.core.numerics",),
  "bnnjax.core.hashing": ("bnnjax.methods.hashing",),
  "bnnjax.core.invariants": ("bnnjax.core.quantized_check",),
  "bnnjax.core.nan_guard": ("bnnjax.core.numerics",),
  "bnnjax.core.parse": ("bnnjax.core.spec",),
  "bnnjax.core.uniform": ("bnnjax.methods.aqt",),
  # layers
  "bnnjax.layers.activation": ("bnnjax.layers.activations",),
  "bnnjax.layers.attention_check": ("bnnjax.layers.checks",),
  "bnnjax.layers.cache": ("bnnjax.layers.kv_cache",),
  "bnnjax.layers.contraction_check": ("bnnjax.layers.checks",),
  "bnnjax.layers.mask": ("bnnjax.layers.attention_mask",),
  "bnnjax.layers.output": ("bnnjax.layers.output_scale",),
  "bnnjax.layers.place": ("bnnjax.layers.collection_point",),
  "bnnjax.layers.react": ("bnnjax.layers.activations",),
  "bnnjax.layers.residual": ("bnnjax.layers.shortcut",),
  "bnnjax.layers.residual_estimator": ("bnnjax.layers.low_rank",),
  "bnnjax.layers.sizes": ("bnnjax.layers.checks",),
  # models, tasks, data
  "bnnjax.data.by_name": ("bnnjax.data.loading",),
  "bnnjax.data.check": ("bnnjax.data.checks",),
  "bnnjax.data.lm_tokenizer": (
    "bnnjax.data.lm_tokenizers",
    "bnnjax.data.embedded",
  ),
  "bnnjax.data.pictures": ("bnnjax.data.encoded_images",),
  "bnnjax.data.streams": ("bnnjax.data.incremental_decoders",),
  "bnnjax.data.tables": ("bnnjax.data.feature_tables",),
  "bnnjax.data.tokenizer": ("bnnjax.data.wordpiece",),
  "bnnjax.models.image": ("bnnjax.models.checks",),
  "bnnjax.models.pretrained_names": ("bnnjax.models.pretrained_families",),
  "bnnjax.models.tokens": ("bnnjax.models.checks",),
  "bnnjax.models.unused": ("bnnjax.models.unused_options",),
  "bnnjax.tasks.check": ("bnnjax.tasks.checks",),
  # cost
  "bnnjax.cost.constants": ("bnnjax.cost.expressions",),
  "bnnjax.cost.contract": ("bnnjax.cost.contraction", "bnnjax.cost.macs"),
  "bnnjax.cost.control": ("bnnjax.cost.control_flow",),
  "bnnjax.cost.joining": ("bnnjax.cost.data_movement",),
  "bnnjax.cost.live": ("bnnjax.cost.dead_code",),
  "bnnjax.cost.memory": ("bnnjax.cost.activation_memory",),
  "bnnjax.cost.moves": ("bnnjax.cost.data_movement",),
  "bnnjax.cost.equations": ("bnnjax.core.equations",),
  "bnnjax.cost.program": ("bnnjax.core.equations", "bnnjax.cost.expressions"),
  "bnnjax.cost.results": ("bnnjax.cost.outputs", "bnnjax.cost.inputs"),
  "bnnjax.cost.rows": ("bnnjax.cost.ledger",),
  "bnnjax.cost.rules": ("bnnjax.cost.tag_arithmetic",),
  "bnnjax.cost.selection": ("bnnjax.cost.im2col",),
  "bnnjax.cost.tables": ("bnnjax.cost.render",),
  "bnnjax.cost.target": ("bnnjax.cost.named_function",),
  "bnnjax.cost.values": ("bnnjax.cost.abstract_value",),
  "bnnjax.cost.views": ("bnnjax.cost.render", "bnnjax.cost.metrics"),
  "bnnjax.cost.walk": ("bnnjax.cost.interpret",),
  "bnnjax.cost.words": ("bnnjax.cost.popcount",),
  "bnnjax.cost.work": ("bnnjax.cost.elementwise",),
  # train: config fields, files of a run
  "bnnjax.train.config_arg": ("bnnjax.config",),
  "bnnjax.train.config_types": ("bnnjax.train.config_check",),
  "bnnjax.train.facts": (
    "bnnjax.deprecated_calls",
    "bnnjax.train.data_facts",
  ),
  "bnnjax.train.fields": ("bnnjax.train.config_fields",),
  "bnnjax.train.overrides": ("bnnjax.train.config_overrides",),
  "bnnjax.train.recipe": ("bnnjax.config",),
  "bnnjax.train.smoke": ("bnnjax.config",),
  # train: the loop
  "bnnjax.train.interval": ("bnnjax.train.log_interval",),
  "bnnjax.train.resume": ("bnnjax.train.resume_check",),
  "bnnjax.train.inputs": ("bnnjax.deprecated_calls", "bnnjax.train.datasets"),
  "bnnjax.train.loading": ("bnnjax.train.runs",),
  "bnnjax.train.setup": (
    "bnnjax.deprecated_calls",
    "bnnjax.train.stages",
    "bnnjax.train.networks",
    "bnnjax.train.runs",
  ),
  "bnnjax.train.summary": ("bnnjax.train.run_info",),
  # report, command line
  "bnnjax.checks": ("bnnjax.plugin_files",),
  "bnnjax.listing": ("bnnjax.commands.listing",),
  "bnnjax.report.tables": (
    "bnnjax.report.grouping",
    "bnnjax.report.markdown",
    "bnnjax.report.pages",
  ),
  "bnnjax.skeleton": ("bnnjax.commands.new",),
}

# Old name in an old module: its new name, where it is another.
RENAMED: dict[str, str] = {
  # core, methods
  # layers
  "bnnjax.layers.attention_check.heads_fit": "check_heads",
  "bnnjax.layers.attention_check.parts_fit": "check_attention",
  "bnnjax.layers.cache.Cache": "KVCache",
  "bnnjax.layers.place.Place": "CollectionPoint",
  "bnnjax.layers.residual_estimator.ResidualEstimator": "LowRankEstimator",
  # models, tasks, data
  "bnnjax.data.lm_tokenizer.BPE_FILE": "PLAYS_BPE",
  "bnnjax.data.lm_tokenizer.of": "make_tokenizer",
  "bnnjax.tasks.check.check": "check_task",
  "bnnjax.tasks.check.per_example": "checked_outputs",
  "bnnjax.tasks.check.reduced": "checked_reduced",
  "bnnjax.tasks.check.returned": "checked_loss",
  # cost
  "bnnjax.cost.control.HANDLERS": "RULES",
  "bnnjax.cost.results.refuse_symbols": "check_shapes",
  "bnnjax.cost.rows.Computed": "ComputedScale",
  "bnnjax.cost.rows.Site": "TagSite",
  "bnnjax.cost.rows.Use": "ParameterUse",
  "bnnjax.cost.tables.render": "text_of",
  "bnnjax.cost.values.Value": "AbstractValue",
  "bnnjax.cost.values.joined_words": "join_words",
  "bnnjax.cost.walk.Walker": "Interpreter",
  # train: config fields, files of a run
  # train: the loop
  "bnnjax.train.summary.going_on": "resumed",
  "bnnjax.train.summary.of": "record_of",
  # report, command line
  "bnnjax.checks.loaded": "of",
  "bnnjax.report.tables.escape": "plain",
  "bnnjax.report.tables.group": "by_config",
}


# Kind and old name of a registered thing: its name. No other thing may take the
# old name while it is here: configs of trained runs hold it.
REGISTERED: dict[tuple[str, str], str] = {
  ("method", "bibert_baseline"): "rounded_softmax",
}

# Module that stays: the names that left it, and their new places. Each module
# adds its own when it is imported.
LEFT: dict[str, Mapping[str, str]] = {}


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
  """Finds the modules of `MOVED`, after every other finder has failed."""

  def find_spec(self, name, path=None, target=None):
    del path, target
    if name in MOVED:
      return importlib.machinery.ModuleSpec(name, self)
    return None

  def exec_module(self, module: types.ModuleType) -> None:
    name = module.__name__
    _warn(f"The module {name}", " and ".join(MOVED[name]))
    module.__getattr__ = lambda attribute: _find(name, attribute)


def _find(module: str, attribute: str) -> Any:
  """What the new modules call a public name of an old one.

  Raises:
    AttributeError: none of them has it.
  """
  if attribute == "__all__":  # of `from old import *`
    return [
      name
      for place in MOVED[module]
      for name in vars(importlib.import_module(place))
      if not name.startswith("_")
    ]
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

  LEFT[module] = moved

  def get(attribute: str) -> Any:
    if attribute not in moved:
      raise AttributeError(f"module {module!r} has no attribute {attribute!r}")
    new = moved[attribute]
    _warn(f"{module}.{attribute}", new)
    place, _, name = new.rpartition(".")
    return getattr(importlib.import_module(place), name)

  return get


def renamed(new: str) -> Any:
  """A method or attribute of a class under its old name.

  Example:
    >>> class Binarizer:
    ...   passing = renamed("training_only_names")
  """

  class Renamed:
    def __set_name__(self, owner, name):
      self.old = f"{owner.__name__}.{name}"

    def __get__(self, instance, owner=None):
      _warn(self.old, new)
      return getattr(owner if instance is None else instance, new)

  return Renamed()


def current_name(kind: str, name: Any) -> Any:
  """The name of a registered thing: itself, or what has replaced it."""
  new = REGISTERED.get((kind, name)) if isinstance(name, str) else None
  if new is None:
    return name
  _warn(f"{kind} {name!r}", repr(new))
  return new


def renamed_keyword(old: str, new: str) -> Callable[[Callable], Callable]:
  """Decorator of a function whose keyword `old` is now `new`."""

  def decorate(function):
    @functools.wraps(function)
    def call(*args, **options):
      if old in options:
        _warn(f"`{old}=` of {function.__name__}", f"`{new}=`")
        options[new] = options.pop(old)
      return function(*args, **options)

    return call

  return decorate


def _warn(old: str, new: str) -> None:
  warnings.warn(
    f"{old} is now {new}; the old name goes with the next version.",
    DeprecationWarning,
    stacklevel=3,
  )


def install() -> None:
  """Lets Python find old module names, once."""
  if not any(isinstance(finder, Finder) for finder in sys.meta_path):
    sys.meta_path.append(Finder())
