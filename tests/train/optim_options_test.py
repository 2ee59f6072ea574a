import inspect

import optax
import pytest

from bnnjax.train import optim_options


@pytest.mark.parametrize("name", optim_options.OPTIMIZERS)
def test_every_factory_takes_options_inside_and_none_outside(name):
  """The names are optax's own; the ends of the ranges are refused."""
  taken = inspect.signature(getattr(optax, name)).parameters
  for key in ("b1", "b2", "decay", "momentum"):
    if key not in taken:
      with pytest.raises(ValueError, match=f"`optim.options` of {name}"):
        optim_options.check(name, {key: 0.5})
      continue
    optim_options.check(name, {key: 0.5})
    for value in (1.0, 3, -2, -1e-9, float("nan"), 10**400, True, "0.9"):
      with pytest.raises(ValueError, match=rf"`optim.options.{key}` of {name}"):
        optim_options.check(name, {key: value})


@pytest.mark.parametrize(
  ("name", "options", "message"),
  [
    ("adam", {"eps": 0.0}, "must be above 0, got 0.0"),
    ("adam", {"nesterov": "yes"}, "must be True or False, got 'yes'"),
    ("adam", {"mu_dtype": "nope"}, "must be a dtype, got 'nope'"),
    ("sgd", {"momentum": 0.9, "accumulator_dtype": [1]}, "must be a dtype"),
    ("adamw", {"weight_decay": 0.1}, "Set `optim.weight_decay`"),
    ("adamw", {"mask": None}, "has no 'mask'"),
    ("adam", {"learning_rate": 1.0}, "Set `optim.lr`"),
    ("sgd", {"momentun": 0.9}, "Did you mean 'momentum'"),
    (
      "sgd",
      {"nesterov": True},
      "`optim.options.nesterov` of sgd has no effect",
    ),
    (
      "rmsprop",
      {"nesterov": True},
      "options.nesterov` of rmsprop has no effect",
    ),
    ("radam", {"threshold": float("inf")}, "must be above 0, got inf"),
  ],
)
def test_refused(name, options, message):
  with pytest.raises(ValueError, match=message):
    optim_options.check(name, options)


@pytest.mark.parametrize(
  ("name", "options"),
  [
    ("sgd", {"nesterov": True, "momentum": 0.9}),
    ("adam", {"b1": 0.9, "nesterov": True, "mu_dtype": "float32"}),
    ("nadam", {"nesterov": False}),
    ("rmsprop", {"centered": True, "initial_scale": 0.1}),
    ("lion", {"b2": 0.8}),
  ],
)
def test_taken(name, options):
  optim_options.check(name, options)
