r"""A 1-bit perceptron on the embedded Fashion-MNIST slice: runs of seconds.

  bnnjax train --config=configs/fashion_mnist_mini_mlp.py

Two hidden layers with 1-bit weights; the activations between them are 1-bit too.
For first ablations, where a run of minutes is too long; its small network says
little about larger ones.

Arguments, joined by commas: `:weight=ste`, `:act=ste` (specs, or `float`;
`act=float` makes the network linear, as the sign is its only non-linearity),
`:width=256` (of the hidden layers), `:lr=3e-3`, `:epochs=3`, `:smoke` (fake images,
takes seconds), `:seed=0`.
Measured: notebooks/2_ablate_an_estimator.py.
"""

from bnnjax import config as config_lib


def get_config(arg: str = ""):
  arg = config_lib.parse_arg(
    arg,
    weight="ste",
    act="ste",
    width=256,
    lr=3e-3,
    epochs=3.0,
    smoke=False,
    seed=0,
  )
  config = config_lib.base()
  config.seed = arg.seed
  config.epochs = arg.epochs
  config.data.update(name="fashion_mnist_mini")
  config.model = {
    "name": "mlp",
    "hidden": (arg.width, arg.width),
    "weight": None if arg.weight == "float" else arg.weight,
    "act": None if arg.act == "float" else arg.act,
  }
  config.optim.update(lr=arg.lr, schedule="cosine", warmup=0.05)
  config.eval_every = arg.epochs
  if arg.smoke:
    config_lib.make_smoke(config)
    config.model.hidden = (8, 8)
  return config.lock()
