"""Calls of the version before give what the new ones give."""

import warnings

import pytest

from bnnjax import config as config_lib
from bnnjax.train import networks
from bnnjax.train.plan import Plan
from tests.train.small_runs import tiny

with warnings.catch_warnings():
  warnings.simplefilter("ignore", DeprecationWarning)
  from bnnjax.train import inputs, setup


def test_old_calls():
  config = config_lib.resolve(tiny())
  new = Plan(config)
  assert setup.cost_of(config).ace == new.report().ace
  (stage,) = setup.plan(config, 8)
  assert stage.network.kinds == new.networks[0].kinds
  (network,) = setup.check_used(config)
  assert network.kinds == new.networks[0].kinds
  other = setup.network_of(config, {"hidden": (8, 8, 8)})
  assert len(other.abstract.layers) == len(network.abstract.layers) + 1
  split, whole = setup.shardings(config)
  assert split.mesh == whole.mesh
  with pytest.warns(DeprecationWarning, match="deprecated_calls.network_of"):
    assert networks.network_of(config).kinds == network.kinds
  train, evaluation = inputs.load_data(config)
  assert len(train) == len(evaluation) == 64
