"""A config, resolved."""

import pytest
from ml_collections import ConfigDict

from bnnjax import config as facade
from bnnjax import data
from bnnjax.train import config as config_lib


def minimal(**changes):
  made = {
    "data": {"name": "fake", "shape": (4, 6, 1), "num_classes": 3},
    "model": {"name": "mlp"},
    "optim": {"lr": 1, "options": {"b1": 0.5}, "bop": {"gamma": 0.5}},
  }
  return {**made, **changes}


def test_what_is_left_out_has_its_default():
  got, defaults = config_lib.resolve(minimal()), facade.base()
  defaults.data.update(minimal()["data"])
  defaults.model.name = "mlp"
  defaults.optim.update(lr=1.0, options={"b1": 0.5})
  defaults.optim.bop.gamma = 0.5
  assert got.to_dict() == defaults.to_dict()
  assert got.is_locked
  assert isinstance(got.optim.lr, float)
  assert config_lib.resolve(got) == got


def test_a_config_is_not_changed():
  given = ConfigDict(minimal())
  config_lib.resolve(given)
  assert given == ConfigDict(minimal())


def test_an_unknown_field():
  for changes, message in (
    ({"optm": {}}, "'optm'. Did you mean 'optim'"),
    ({"mesh": {"fspd": 2}}, "'mesh.fspd'. Did you mean 'mesh.fsdp'"),
    ({"mesh": 2}, "'mesh' has fields, got 2"),
  ):
    with pytest.raises(ValueError, match=message):
      config_lib.resolve(minimal(**changes))


def test_optim_of_a_stage():
  last = {"lr": 0.25, "options": {"b2": 0.75}, "latent": {"lr": 2}}
  config = config_lib.resolve(
    minimal(stages=({"until": 4}, {"until": 1.0, "optim": last}))
  )
  whole = config.optim.to_dict()
  first, second = (config_lib.optim_of(config, s) for s in config.stages)
  assert config_lib.optim_of(config) == first == whole
  options = {"b1": 0.5, "b2": 0.75}
  assert second == {**whole, **last, "options": options}
  assert config.optim.to_dict() == whole


def test_info_is_what_the_config_says():
  config = config_lib.resolve(minimal())
  assert config_lib.info_of(config) == data.DatasetInfo("fake", (4, 6, 1), 3)


@pytest.mark.parametrize(
  ("old", "new"), [("base", facade.base), ("parse_arg", facade.parse_arg)]
)
def test_names_that_moved_to_the_facade(old, new):
  with pytest.warns(DeprecationWarning, match=f"bnnjax.config.{old}"):
    assert getattr(config_lib, old) is new
