r"""ResNet-20 W1A1 on CIFAR-10, with the whole recipe of its authors' code.

  bnnjax train --config=configs/cifar10_resnet.py:recipe=reste
  bnnjax cost --config=configs/cifar10_resnet.py:recipe=biper

Arguments: `:recipe=reste` (DravenALG/ReSTE, `resnet20_bireal_1w1a`), `biper`
(edmav4/BiPer, run_stg1.sh and run_stg2.sh), `recu` (z-hXu/ReCU) or `irnet`
(htqin/IR-Net); `:smoke` (fake images, takes seconds), `:seed=0`. A recipe is
network, order of the layers, shortcut, norm before the head, initial weights,
optimizer, rate, schedule, epochs, decay, augmentation and stages.

What still differs from all four: weight decay acts on kernels, but not on norms,
biases and scales of binarizers, which the authors' SGD decays too; the rate and
the schedules of estimators change with every step, theirs with every epoch;
"SAME" padding of a strided convolution is at the bottom and right, theirs on all
sides; pixels are normalized by the statistics of CIFAR-10, theirs by those of
ImageNet; kernels are drawn from a truncated normal distribution of the same
variance. From BiPer: its second stage begins at the best checkpoint of the first
on the test images, here at its end, and it publishes these rates for ResNet-18.
From ReCU and BiPer: their head has the initial values of torch's linear layer.
Published: 87.92 % (reste), 86.98 % (biper), 87.5 % (recu), 86.5 % (irnet).
Not run here: CIFAR-10 needs a download (tfds).
"""

from bnnjax import config as config_lib

WARMUP = 5  # epochs, of all but IR-Net
BIPER = "biper(freq=20.0,stage={})|learned(init='uniform')"
EDE = "ede(t=geometric(start=0.001, end=10.0))"  # of the ResNet-20 trainer
RECIPES = {
  "reste": {
    "epochs": 1000.0,
    "batch_size": 256,
    "model": {"layout": "reste", "weight": "reste", "act": "reste"},
    "optim": {"lr": 0.1, "weight_decay": 1e-4, "warmup": WARMUP / 1000},
  },
  "biper": {
    "epochs": 900.0,
    "batch_size": 256,
    "model": {
      "layout": "irnet",
      "shortcut": "pool_pad",
      "weight": BIPER.format(2.0),
      "act": "biper",
    },
    "optim": {
      "lr": 0.0037,
      "weight_decay": 1.6e-4,
      "warmup": WARMUP / 300,
      "penalty": "sine(freq=20.0,tau=0.0468)",
    },
    "stages": (
      {
        "until": 600 / 900,
        "model": {"weight": BIPER.format(1.0)},
        "optim": {
          "lr": 0.021,
          "weight_decay": 1.6e-3,
          "warmup": WARMUP / 600,
          "penalty": "sine(freq=20.0,tau=0.037)",
        },
        "restart": True,
      },
      {"until": 1.0, "restart": True},
    ),
  },
  "recu": {
    "epochs": 600.0,
    "batch_size": 256,
    "model": {
      "layout": "irnet",
      "shortcut": "pool_pad",
      "weight": (
        "recu(tau=exponential(start=0.85, end=0.99))"
        " > ste(clip=None)|learned(init='uniform')"
      ),
      "act": "recu",
    },
    "optim": {"lr": 0.1, "weight_decay": 5e-4, "warmup": WARMUP / 600},
  },
  "irnet": {
    "epochs": 400.0,
    "batch_size": 128,
    "model": {
      "layout": "irnet",
      "weight": (
        f"standardize(eps=1e-12) > {EDE}|channel_l1(pow2=True);"
        " gradient='multiply'"
      ),
      "act": EDE,
    },
    "optim": {"lr": 0.1, "weight_decay": 1e-4},
  },
}


def get_config(arg: str = ""):
  arg = config_lib.parse_arg(arg, recipe="reste", smoke=False, seed=0)
  if arg.recipe not in RECIPES:
    raise ValueError(
      f"`recipe` is one of {', '.join(RECIPES)}, got {arg.recipe!r}."
    )
  recipe = RECIPES[arg.recipe]
  config = config_lib.base()
  config.seed = arg.seed
  config.epochs = recipe["epochs"]
  config.data.update(
    name="tfds:cifar10",
    shape=(32, 32, 3),
    num_classes=10,
    batch_size=recipe["batch_size"],
    augment=("pad_crop(4)", "flip"),
  )
  config.model = {
    "name": "resnet",
    "variant": "20",
    "head_norm": True,
    "init": "he_normal",
    **recipe["model"],
  }
  config.optim.update(
    name="sgd", options={"momentum": 0.9}, schedule="cosine", **recipe["optim"]
  )
  config.stages = recipe.get("stages", ())
  config.eval_every = 5.0
  if arg.smoke:
    config_lib.make_smoke(config)
    config.model.update(variant="8", width=0.5)
  return config.lock()
