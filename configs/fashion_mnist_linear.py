r"""Softmax regression on the pixels of Fashion-MNIST: the cheapest baseline.

  bnnjax train --config=configs/fashion_mnist_linear.py

Arguments: `:images=N` (the first N of all 60,000 images instead of the embedded
10,000), `:validate` (with `images`: evaluates on the last 10,000 training images
instead of the test images, for choices), `:size=14` (side of the images),
`:lr=3e-3`, `:epochs=8`, `:batch=128`, `:smoke` (fake images, takes seconds),
`:seed=0`.
Measured: every page in experiments/ on images.
"""

from bnnjax import config as config_lib


def get_config(arg: str = ""):
  arg = config_lib.parse_arg(
    arg,
    images=0,
    validate=False,
    size=28,
    lr=3e-3,
    epochs=8.0,
    batch=128,
    smoke=False,
    seed=0,
  )
  config = config_lib.base()
  config.seed = arg.seed
  config.epochs = arg.epochs
  resize = (f"resize({arg.size})",)
  config.data.update(
    name="fashion_mnist_mini",
    augment=resize,  # mirrored images cost a linear model three points
    eval_augment=resize,
    batch_size=arg.batch,
  )
  config_lib.use_images(config, arg.images, validate=arg.validate)
  config.model = {"name": "mlp", "hidden": (), "weight": None, "act": None}
  config.optim.update(lr=arg.lr, schedule="cosine", warmup=0.05)
  config.eval_every = arg.epochs
  if arg.smoke:
    config_lib.make_smoke(config)
  return config.lock()
