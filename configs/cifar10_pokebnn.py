r"""PokeBNN W1A1 on CIFAR-10 with the paper's optimizer and a small-image stem.

  bnnjax train --config=configs/cifar10_pokebnn.py

Arguments: `:float` (the same network in float), `:width=0.5`, `:smoke` (fake
images, takes seconds), `:seed=0`.
Not run here: CIFAR-10 needs a download (tfds).
"""

from bnnjax import config as config_lib


def get_config(arg: str = ""):
  arg = config_lib.parse_arg(arg, smoke=False, float=False, width=0.5, seed=0)
  config = config_lib.base()
  config.seed = arg.seed
  config.epochs = 300.0
  config.data.update(
    name="tfds:cifar10",
    shape=(32, 32, 3),
    num_classes=10,
    batch_size=256,
    augment=("pad_crop(4)", "flip"),
  )
  config.model = {"name": "pokebnn", "width": arg.width, "patch": 1}
  if arg.float:
    for operand in ("weight", "act", "init_bits", "se_bits", "head_bits"):
      config.model[operand] = None
  else:
    config.events = ((0.0625, "freeze_bounds"),)
  config.optim.update(
    lr=1e-3,
    options={"b1": 0.9, "b2": 0.99},
    schedule="linear",
    warmup=0.01,
    decay_until=750 / 800,
    weight_decay=5e-5,
  )
  if arg.smoke:
    config_lib.make_smoke(config)
    config.model.update(
      width=1.0, stages=((8, 1),), stem_features=8, init_features=4
    )
  return config.lock()
