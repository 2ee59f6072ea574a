"""Old names import, warn, and are the new things."""

import importlib
import sys
import warnings

import pytest

from bnnjax import config as config_lib
from bnnjax import deprecated
from bnnjax.core import registry
from bnnjax.core.spec import parse


def _quietly(name):
  with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    return importlib.import_module(name)


@pytest.mark.parametrize("old", sorted(deprecated.MOVED))
def test_old_modules_import_with_a_warning(old):
  sys.modules.pop(old, None)
  with pytest.warns(DeprecationWarning, match="is now"):
    module = importlib.import_module(old)
  for new in map(importlib.import_module, deprecated.MOVED[old]):
    public = [n for n, v in vars(new).items() if not n.startswith("_")]
    assert any(hasattr(module, name) for name in public)
  with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
    _ = module.nothing


@pytest.mark.parametrize(("old", "new"), sorted(deprecated.RENAMED.items()))
def test_renamed_things_are_found_under_the_old_name(old, new):
  module, _, name = old.rpartition(".")
  found = getattr(_quietly(module), name)
  places = deprecated.MOVED[module]
  assert any(
    getattr(importlib.import_module(p), new, None) is found for p in places
  )


def test_a_name_that_left_a_module_warns():
  get = deprecated.old_names(
    "bnnjax.somewhere", {"signs": "bnnjax.core.packing.pack_signs"}
  )
  with pytest.warns(DeprecationWarning, match="bnnjax.core.packing.pack_signs"):
    assert get("signs").__name__ == "pack_signs"
  with pytest.raises(AttributeError, match="has no attribute 'other'"):
    get("other")


@pytest.mark.parametrize(("kind", "old"), sorted(deprecated.REGISTERED))
def test_old_names_of_configs_find_the_same_thing(kind, old):
  new = deprecated.REGISTERED[kind, old]
  assert old not in registry.registered(kind)
  with pytest.warns(DeprecationWarning, match=f"{kind} '{old}' is now '{new}'"):
    assert registry.get(kind, old) is registry.get(kind, new)


def test_a_config_with_an_old_method_keeps_its_network():
  old, new = config_lib.base(), config_lib.base()
  old.model = new.model = {"name": "vit"}
  with pytest.warns(DeprecationWarning, match="'rounded_softmax'"):
    config_lib.use_method(old, "bibert_baseline")
  config_lib.use_method(new, "rounded_softmax")
  assert old.model.to_dict() == new.model.to_dict()
  with pytest.warns(DeprecationWarning, match="method"):
    made = parse("bibert_baseline", "weight")
  assert made == parse("rounded_softmax", "weight")


def test_renamed_methods_and_keywords_warn():
  class Thing:
    new = 3
    old = deprecated.renamed("new")

  @deprecated.renamed_keyword("old", "new")
  def function(*, new=1):
    return new

  with pytest.warns(DeprecationWarning, match="Thing.old is now new"):
    assert Thing().old == 3
  with pytest.warns(DeprecationWarning, match="`old=` of function is now"):
    assert function(old=5) == 5
  assert function() == 1


def test_a_star_import_of_an_old_module():
  names: dict = {}
  with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    exec("from bnnjax.core.contract import *", names)
  assert callable(names["dot"])
