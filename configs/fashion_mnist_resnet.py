r"""ResNet-8 with any registered method on Fashion-MNIST: the ablation's config.

  bnnjax train --config=configs/fashion_mnist_resnet.py:method=bireal
  bnnjax train --config=configs/fashion_mnist_resnet.py:method=reactnet,two_step,teacher=runs/fashion_mnist_resnet-method=float

Arguments: `:method=NAME` (`bnnjax list method`, an estimator's spec, or
`float`), `:bits=4` (DoReFa-Net's weights and activations of that width, in place
of a method), `:width=2.0`, `:lr=1e-2`, `:epochs=8`, `:batch=128`, `:two_step`
(float weights for the first half of the run, then both operands low-bit),
`:teacher=WORKDIR` (a trained run whose soft labels replace the labels),
`:images=N` (the first N of all 60,000 images instead of the embedded 10,000;
tested on all 10,000 test images), `:validate` (with `images`: evaluates on the
last 10,000 training images instead, for choices), `:smoke` (fake images, takes
seconds), `:seed=0`. All methods share one network (with a shortcut around every
convolution; stem, head and 1x1 shortcuts have 8 bits as in PokeBNN), one
optimizer and one budget; only the binarizer differs.
Measured: experiments/ablation.md, from experiments/ablation.py.
"""

from bnnjax import config as config_lib

SIZE = 14  # half size, so that two cores can ablate all methods
EDGES = {
  "edge_weight": "symmetric(bits=8)|channel_max",
  "edge_act": "symmetric(bits=8)|ema_bound",
  "projection": "edge",
}


def get_config(arg: str = ""):
  arg = config_lib.parse_arg(
    arg,
    method="bireal",
    bits=0,
    width=1.0,
    lr=1e-2,
    epochs=8.0,
    batch=128,
    two_step=False,
    teacher="",
    images=0,
    validate=False,
    smoke=False,
    seed=0,
  )
  config = config_lib.base()
  config.seed = arg.seed
  config.epochs = arg.epochs
  config.data.update(
    name="fashion_mnist_mini",
    augment=(f"resize({SIZE})", "flip"),
    eval_augment=(f"resize({SIZE})",),
    batch_size=arg.batch,
  )
  config_lib.use_images(config, arg.images, validate=arg.validate)
  config.model = {
    "name": "resnet",
    "variant": "8",
    "width": arg.width,
    "layout": "bireal",
    "stem": "small",
    "activation": "prelu",  # without it, the float network would be linear
  }
  if arg.bits:
    config.model.update(
      weight=f"tanh_unit > dorefa_weight(bits={arg.bits})",
      act=f"dorefa_act(bits={arg.bits})",
    )
  else:
    config_lib.use_method(config, arg.method)
  if arg.method != "float" or arg.bits:
    config.model.update(EDGES)
    config.events += ((0.5, "freeze_bounds"),)  # those of the edges
  config.optim.update(lr=arg.lr, schedule="cosine", warmup=0.05)
  if arg.teacher:
    config.task.distill = {"teacher": arg.teacher}
  if arg.two_step:
    config.stages = (
      {"until": 0.5, "model": {"weight": None}, "restart": True},
      {"until": 1.0, "restart": True},
    )
  config.eval_every = arg.epochs
  if arg.smoke:
    config_lib.make_smoke(config)
    config.data.augment = ("flip",)
    config.model.update(width=0.5)
  return config.lock()
