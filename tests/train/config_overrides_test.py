"""`--config.FIELD=VALUE`."""

import pytest
from ml_collections import ConfigDict

from bnnjax import config as config_lib
from bnnjax.train import config_overrides


def apply(*words):
  config = ConfigDict(config_lib.base())
  config.model = {
    "name": "mlp", "act": None, "weight": "ste", "hidden": (8,), "width": 1,
    "inner": {"a": 1}, "variant": "18", "bias": True,
  }  # fmt: skip
  config_overrides.apply(config, config_overrides.pairs(words))
  return config


@pytest.mark.parametrize(
  ("word", "field", "value"),
  [
    ("model.act=ste", "model.act", "ste"),  # None -> value
    ("model.weight=None", "model.weight", None),  # value -> None
    ("model.act=None", "model.act", None),
    ("model.new=4", "model.new", 4),
    ("model.new=ste|channel_l1", "model.new", "ste|channel_l1"),
    ("model.variant=34", "model.variant", "34"),  # text stays text
    ("model.width=0.5", "model.width", 0.5),
    ("model.hidden=[4, 4]", "model.hidden", (4, 4)),
    ("model.inner.a=2", "model.inner.a", 2),
    ("model.bias=false", "model.bias", False),
    ("optim.lr=1", "optim.lr", 1.0),
    ("optim.lr=1e-2", "optim.lr", 0.01),
    ("optim.name=sgd", "optim.name", "sgd"),
    ("optim.options.b1=0.5", "optim.options.b1", 0.5),
    ("optim.bop.gamma=1e-3", "optim.bop.gamma", 1e-3),
    ("data.shape=28,28,1", "data.shape", (28, 28, 1)),
    ("data.augment=flip", "data.augment", "flip"),
    ("stages=({'until': 1.0},)", "stages", ({"until": 1.0},)),
    ("events=((0.5, 'calibrate'),)", "events", ((0.5, "calibrate"),)),
    ("tensorboard=true", "tensorboard", True),
    ("tensorboard", "tensorboard", True),
    ("init=", "init", ""),
    ("init=a=b", "init", "a=b"),
  ],
)
def test_a_value_is_read_by_the_type_of_its_field(word, field, value):
  config = apply(f"--config.{word}")
  for part in field.split("."):
    config = config[part]
  got = tuple(map(dict, config)) if field == "stages" else config
  assert got == value
  assert type(got) is type(value)


def test_flags_may_be_repeated_and_negated():
  config = apply(
    "--config.steps=1", "--config.steps=2", "--noconfig.tensorboard"
  )
  assert config.steps == 2
  assert config.tensorboard is False


@pytest.mark.parametrize(
  ("word", "message"),
  [
    ("--config.model=3", "'model' has fields"),
    ("--config.optim=x", r"'optim' has fields \(name, lr"),
    ("--config.model.inner=3", r"'model.inner' has fields \(a\)"),
    ("--config.model.act.x=3", "'model.act' is None here and has no fields"),
    ("--config.optm.lr=1", "Did you mean 'config.optim.lr'"),
    ("--config.seed.x=1", "Unknown config field 'config.seed.x'"),
    ("--config.model..x=1", "Unknown config field"),
    ("--config.=1", "Unknown config field"),
    ("--config.stages[0]=1", "Did you mean 'config.stages'"),
    ("--config.optim.lr=x", "must be a number, got 'x'"),
    ("--config.optim.lr=True", "must be a number, got 'True'"),
    ("--config.optim.lr", "needs a value"),
    ("--noconfig.steps", "needs a value"),
    ("--config.steps=1.5", "must be a whole number, got '1.5'"),
    ("--config.steps=1e3", "must be a whole number"),
    ("--config.steps=10**400", "must be a number"),
    (f"--config.optim.lr=1{'0' * 400}", "must be a finite number"),
    (f"--config.steps={'9' * 5000}", "must be a whole number"),
    ("--config.data.shape=4", r"must be a tuple, written \(1, 2\)"),
    ("--config.stages={1}", "must be a tuple"),
    (f"--config.events={'(' * 9000}", "must be a tuple"),
    ("--config.tensorboard=2", "must be true or false"),
    ("--foo=1", "An override is written --config.FIELD=VALUE"),
  ],
)  # fmt: skip
def test_what_cannot_be_meant(word, message):
  with pytest.raises(ValueError, match=message):
    apply(word)
