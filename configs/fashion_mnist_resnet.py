r"""ResNet-8 with any registered method on Fashion-MNIST: the ablation's config.

  bnnjax train --config=configs/fashion_mnist_resnet.py:method=bireal
  bnnjax train --config=configs/fashion_mnist_resnet.py:method=reactnet,two_step,teacher=runs/fashion_mnist_resnet-method=float

Arguments: `:method=NAME` (`bnnjax list method`, an estimator's spec, or
`float`), `:bits=4` (DoReFa-Net's weights and activations of that width, in place
of a method), `:width=2.0`, `:lr=1e-2`, `:epochs=8`, `:batch=128`, `:two_step`
(float weights for the first half of the run, then both operands low-bit),
`:teacher=WORKDIR` (a trained run whose soft labels replace the labels),
`:norm=bcn` (batch-channel normalization; `estimate`: with estimated statistics,
for micro-batches; or a spec of `bnnjax list norm`), `:ws` (standardized weights,
of an estimator or of the float network: the body's, and in the float network
also those of the shortcuts), `:freq=20` (of `method=biper`, with the sign from
the start), `:two_stage` (of `method=biper`: the sine for two thirds of the run,
then, with a fresh optimizer and warm-up, its sign; the authors begin the second
stage at the best checkpoint of the first, here it is its end), `:ratio=0.6` (of
the learning rates of the second and the first stage; by default that of the
authors' scripts, 0.0037 / 0.021), `:sign_first` (the sign in the first stage too),
`:penalty` (BiPer's), `:power=3` (of `method=reste`: `o` at the end of
the run; ReSTE's indicators go on record), `:images=N` (the first N of all 60,000 images
instead of the embedded 10,000; tested on all 10,000 test images), `:validate`
(with `images`: evaluates on the last 10,000 training images instead, for
choices), `:smoke` (fake images, takes seconds), `:seed=0`. All methods share one
network (with a shortcut around every convolution; stem, head and 1x1 shortcuts
have 8 bits as in PokeBNN), one optimizer and one budget; only the binarizer
differs.
Measured: experiments/ablation.md, from experiments/ablation.py.
"""

from bnnjax import config as config_lib

NORMS = {  # 8 groups: of 32, those of the first stages would have one channel
  "bcn": "batch_channel(groups=8)",
  "estimate": "batch_channel(groups=8, statistics='estimate')",
}
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
    norm="batch",
    ws=False,
    freq=0.0,
    two_stage=False,
    penalty=False,
    ratio=0.0,
    sign_first=False,
    power=0.0,
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
  if arg.power:
    _use_reste(config, arg)
  if arg.norm != "batch":
    config.model.norm = NORMS.get(arg.norm, arg.norm)
  if arg.ws:
    config.model.weight = f"standardize > {arg.method}"
    if arg.method == "float":
      config.model.projection = "body"
  if arg.method != "float" or arg.bits:
    config.model.update(EDGES)
    config.events += ((0.5, "freeze_bounds"),)  # those of the edges
  config.optim.update(lr=arg.lr, schedule="cosine", warmup=0.05)
  if arg.freq or arg.two_stage or arg.penalty or arg.ratio or arg.sign_first:
    _use_biper(config, arg)
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


def _use_reste(config, arg):
  """ReSTE with another power at the end, and its indicators."""
  if arg.method != "reste":
    raise ValueError(f"`power` is of `method=reste`, got {arg.method!r}.")
  estimator = f"reste(o=quarter_cosine(start=1.0, end={arg.power}))"
  config.model.update(
    weight=f"{estimator}|tensor_l1; gradient='full'", act=estimator
  )
  config.diagnostics = 150  # only the last line is on record


def _use_biper(config, arg):
  """BiPer in two stages, or with the sign from the start."""
  if arg.method != "biper":
    raise ValueError(
      "`freq`, `two_stage`, `penalty`, `ratio` and `sign_first` are of"
      f" `method=biper`, got {arg.method!r}."
    )
  if (arg.ratio or arg.sign_first) and not arg.two_stage:
    raise ValueError(
      "`ratio` and `sign_first` are of two stages: give `two_stage` too."
    )
  freq = arg.freq or 20.0
  weight = "biper(freq={},stage={})|learned(init=1.0)"
  # The penalties of run_stg1.sh and run_stg2.sh.
  penalties = [
    f"sine(freq={freq},tau={tau})" if arg.penalty else ""
    for tau in (0.037, 0.0468)
  ]
  config.model.weight = weight.format(freq, 2.0)
  config.optim.penalty = penalties[-1]
  if arg.two_stage:
    config.stages = (
      {
        "until": 2 / 3,
        "model": {
          "weight": weight.format(freq, 2.0 if arg.sign_first else 1.0)
        },
        "optim": {"penalty": penalties[0]},
        "restart": True,
      },
      {
        "until": 1.0,
        "optim": {"lr": config.optim.lr * (arg.ratio or 0.0037 / 0.021)},
        "restart": True,
      },
    )
