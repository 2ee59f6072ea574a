r"""ResNet-8 with any registered method on Fashion-MNIST: the ablation's config.

  bnnjax train --config=configs/fashion_mnist_resnet.py:method=bireal
  bnnjax train --config=configs/fashion_mnist_resnet.py:method=reactnet,two_step,teacher=runs/fashion_mnist_resnet-method=float

Arguments: `:method=NAME` (`bnnjax list method`, an estimator's spec, or
`float`), `:two_step` (float weights for the first half of the run, then both
operands low-bit), `:teacher=WORKDIR` (a trained run whose soft labels replace
the labels), `:norm=batch_channel` (a spec of `bnnjax list norm`; `estimate` is
batch-channel normalization for micro-batches, with estimated statistics), `:ws`
(standardized weights, of an estimator or of the float network: the body's, and
in the float network also those of the shortcuts), `:freq=20` (of `method=biper`,
with the sign from the start), `:two_stage` (of `method=biper`: the sine for two
thirds of the run, then, with a fresh optimizer, warm-up and learning rate
`lr2`, its sign; the authors begin the second stage at the best checkpoint of the
first, here it is its end), `:penalty` (BiPer's), `:lr2=0` (0: that of the
authors' scripts, 0.0037 / 0.021 of the first), `:full` (all 60,000 images
instead of the embedded 10,000), `:smoke` (fake images, takes seconds),
`:seed=0`. All methods share one network (with a shortcut around every
convolution), one optimizer and one budget; only the binarizer differs.
Measured: experiments/ablation.md, from experiments/ablation.py.
"""

from bnnjax import config as config_lib

NORMS = {"estimate": "batch_channel(statistics='estimate')"}
SIZE = 14  # half size, so that two cores can ablate all methods


def get_config(arg: str = ""):
  arg = config_lib.parse_arg(
    arg,
    method="bireal",
    two_step=False,
    teacher="",
    norm="batch",
    ws=False,
    freq=0.0,
    two_stage=False,
    penalty=False,
    lr2=0.0,
    full=False,
    smoke=False,
    seed=0,
  )
  config = config_lib.base()
  config.seed = arg.seed
  config.epochs = 20.0
  config.data.update(
    name="fashion_mnist" if arg.full else "fashion_mnist_mini",
    augment=(f"resize({SIZE})", "flip"),
    eval_augment=(f"resize({SIZE})",),
  )
  config.model = {
    "name": "resnet",
    "variant": "8",
    "layout": "bireal",
    "stem": "small",
    "activation": "prelu",  # without it, the float network would be linear
  }
  config_lib.use_method(config, arg.method)
  if arg.norm != "batch":
    config.model.norm = NORMS.get(arg.norm, arg.norm)
  if arg.ws:
    config.model.weight = f"standardize > {arg.method}"
    if arg.method == "float":
      config.model.projection = "body"
  config.optim.update(lr=5e-3, schedule="cosine", warmup=0.05)
  if arg.freq or arg.two_stage or arg.penalty or arg.lr2:
    _use_biper(config, arg)
  if arg.teacher:
    config.task.distill = {"teacher": arg.teacher}
  if arg.two_step:
    config.stages = (
      {"until": 0.5, "model": {"weight": None}, "restart": True},
      {"until": 1.0, "restart": True},
    )
  config.eval_every = 5.0
  if arg.smoke:
    config_lib.make_smoke(config)
    config.data.augment = ("flip",)
    config.model.update(width=0.5)
  return config.lock()


def _use_biper(config, arg):
  """BiPer in two stages, or with the sign from the start."""
  if arg.method != "biper":
    raise ValueError(
      "`freq`, `two_stage`, `penalty` and `lr2` are of `method=biper`, got"
      f" {arg.method!r}."
    )
  if arg.lr2 and not arg.two_stage:
    raise ValueError("`lr2` is of the second stage: give `two_stage` too.")
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
        "model": {"weight": weight.format(freq, 1.0)},
        "optim": {"penalty": penalties[0]},
        "restart": True,
      },
      {
        "until": 1.0,
        "optim": {"lr": arg.lr2 or config.optim.lr * 0.0037 / 0.021},
        "restart": True,
      },
    )
