"""What a config decides without its data."""

import jax
import pytest

from bnnjax import config as config_lib
from bnnjax.train.plan import Plan
from tests.train.small_runs import tiny, tiny_text


def test_a_plan_resolves_its_config():
  config = tiny()
  plan = Plan(config)
  assert plan.config == config_lib.resolve(config) == Plan(plan.config).config
  assert plan.info.shape == (4, 4, 1)
  with pytest.raises(ValueError, match="Did you mean 'data'"):
    Plan({**config.to_dict(), "dat": 3})


def test_stages_have_their_own_settings_and_networks():
  config = tiny()
  first = {"until": 4, "model": {"weight": None}, "optim": {"lr": 0.5}}
  config.stages = (first, {"until": 1.0, "restart": True})
  plan = Plan(config)
  assert [s.optim["lr"] for s in plan.settings] == [0.5, 0.03]
  assert [s.own for s in plan.settings] == [{"lr": 0.5}, {}]
  assert [s.restart for s in plan.settings] == [False, True]
  assert plan.settings[0].model["hidden"] == (8, 8)
  kinds = [set(jax.tree.leaves(n.kinds)) for n in plan.networks]
  assert "latent" in kinds[1] - kinds[0]
  assert plan.report().macs[1, 1] == 8 * 8  # of the last, which is deployed


def test_a_vocabulary_may_be_padded():
  config = tiny_text()
  config.model.vocab = 48
  assert Plan(config).networks[0].abstract.word.table.shape[0] == 48


def test_the_task_decides_what_is_counted():
  """Masked language modelling scores every token against every entry."""
  config = tiny_text()
  plain = Plan(config).report()
  config.task = {"name": "masked_lm"}
  got = Plan(config).report()
  (tokens,), vocab = config.data.shape, config.data.vocab
  features = config.model.features
  head = features * features + features * config.data.num_classes
  assert got.total_macs - plain.total_macs == tokens * features * vocab - head
