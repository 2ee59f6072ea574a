"""A config of a run that takes seconds; `:seed=0`."""

from bnnjax import config as config_lib


def get_config(arg: str = ""):
  arg = config_lib.parse_arg(arg, seed=0)
  config = config_lib.base()
  config.seed = arg.seed
  config.data.update(shape=(4, 4, 1), num_classes=3)
  config_lib.make_smoke(config)
  config.data.augment = ()
  config.steps = 2
  config.model = {"name": "mlp", "hidden": (8, 8)}
  return config.lock()
