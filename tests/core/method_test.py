import pytest

from bnnjax.core import registry
from bnnjax.core.method import Preset, layer_options, method


def test_a_spec_string_is_a_preset():
  with registry.restored():
    made = method("mine", paper="none", arxiv="", weight="ste", output="rank1")
    assert made is registry.get("method", "mine")
    assert made.weight == Preset("ste")
    assert made.act == made.embedding == Preset(None)
    assert layer_options("mine") == {"output": "rank1"}


def test_options_of_the_layer():
  assert layer_options(None) == layer_options("bireal") == {}
  assert layer_options("dorefa") == {"grad": "dorefa_grad(bits=6)"}
  with pytest.raises(ValueError, match="Did you mean 'bireal'"):
    layer_options("bi_real")


def test_the_old_field_warns():
  with (
    registry.restored(),
    pytest.warns(DeprecationWarning, match="Nothing reads `blocks=`"),
  ):
    method("mine", paper="none", arxiv="", blocks=("Layer",))
