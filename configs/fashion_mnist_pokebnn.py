r"""PokeBNN on the whole Fashion-MNIST, in 1 bit, more bits or float.

  apt-get install dataset-fashion-mnist     (or by tfds: the error says how)
  bnnjax train --config=configs/fashion_mnist_pokebnn.py
  bnnjax train --config=configs/fashion_mnist_pokebnn.py:small,images=10000,bound=1

Arguments: `:small` (a network that trains in a minute), `:images=N` (the first N
of all 60,000), `:validate` (with `images`: evaluates on the last 10,000 training
images instead of the test images, for choices), `:bits=4` (width of the body's
weights and activations, 1 to 8; 32 is the same network in float), `:bound=3.0`
(of the 1-bit activations), `:se_bits=4` (of the squeeze-and-excite layers; 32
is float), `:width=2.0`, `:lr=1e-2`, `:epochs=12`, `:smoke` (fake images, takes
seconds), `:seed=0`.
Measured: experiments/pokebnn.md. On all images not run here: about 20 minutes
on two cores.
"""

from bnnjax import config as config_lib


def get_config(arg: str = ""):
  arg = config_lib.parse_arg(
    arg,
    small=False,
    images=0,
    validate=False,
    bits=1,
    bound=3.0,
    se_bits=4,
    width=1.0,
    lr=1e-2,
    epochs=12.0,
    smoke=False,
    seed=0,
  )
  config = config_lib.base()
  config.seed = arg.seed
  config.epochs = arg.epochs
  augment = ("flip",) if arg.small else ("pad_crop(2)", "flip")
  config.data.update(name="fashion_mnist", augment=augment)
  config_lib.use_images(config, arg.images, validate=arg.validate)
  config.model = {
    "name": "pokebnn",
    "width": arg.width,
    "stages": ((16, 1), (32, 1)) if arg.small else ((32, 1), (32, 1)),
    "kernels": (3, 3, 3),
    "expansion": 1,
    "patch": 4 if arg.small else 2,
    "init_features": 8 if arg.small else 16,
    "stem_features": 16 if arg.small else 32,
    "se_bits": arg.se_bits if arg.se_bits < 32 else None,
  }
  if arg.bits == 1:
    config.model.act = f"half_shift|fixed(value={arg.bound})"
  elif arg.bits < 32:
    config.model.weight = f"symmetric(bits={arg.bits})|channel_max"
    config.model.act = f"symmetric(bits={arg.bits})|ema_bound"
  else:
    for operand in ("weight", "act", "init_bits", "se_bits", "head_bits"):
      config.model[operand] = None
  if arg.bits < 32:
    config.events = ((0.0625, "freeze_bounds"),)
  # The paper's optimizer; its learning rate is for 124,800 steps.
  config.optim.update(
    lr=arg.lr,
    options={"b1": 0.9, "b2": 0.99},
    schedule="cosine",
    warmup=0.05,
    weight_decay=5e-5,
  )
  config.eval_every = arg.epochs
  if arg.smoke:
    config_lib.make_smoke(config)
    config.model.update(
      width=1.0, stages=((8, 1),), stem_features=8, init_features=4
    )
  return config.lock()
