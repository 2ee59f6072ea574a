r"""PokeBNN W1A1 on the embedded Fashion-MNIST slice: the default job.

  bnnjax train --config=configs/fashion_mnist_mini_pokebnn.py

Arguments, joined by commas: `:smoke` (fake images, takes seconds), `:float`
(the same network in float), `:width=0.5`, `:seed=1`.
Measured: README.md; experiments/fashion_mnist_mini_pokebnn.py trains all its seeds.
"""

from bnnjax import config as config_lib


def get_config(arg: str = ""):
  arg = config_lib.parse_arg(arg, smoke=False, float=False, width=1.0, seed=0)
  config = config_lib.base()
  config.seed = arg.seed
  config.epochs = 12.0
  config.data.update(
    name="fashion_mnist_mini",
    augment=("flip",),
  )
  config.model = {
    "name": "pokebnn",
    "width": arg.width,
    "stages": ((32, 1), (32, 1)),
    "kernels": (3, 3, 3),
    "expansion": 1,
    "patch": 2,
    "init_features": 16,
    "stem_features": 32,
  }
  if arg.float:
    for operand in ("weight", "act", "init_bits", "se_bits", "head_bits"):
      config.model[operand] = None
  else:
    config.events = ((0.0625, "freeze_bounds"),)
  # The paper's optimizer; its learning rate is for 124,800 steps, ours for 936.
  config.optim.update(
    lr=1e-2,
    options={"b1": 0.9, "b2": 0.99},
    schedule="cosine",
    warmup=0.05,
    weight_decay=5e-5,
  )
  if arg.smoke:
    config_lib.make_smoke(config)
    config.model.update(
      width=1.0, stages=((8, 1),), stem_features=8, init_features=4
    )
  return config.lock()
