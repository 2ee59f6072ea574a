r"""A small vision transformer, binary or float, on Fashion-MNIST.

  bnnjax train --config=configs/fashion_mnist_vit.py:method=float
  bnnjax train --config=configs/fashion_mnist_vit.py:method=bivit,teacher=runs/fashion_mnist_vit-method=float

Arguments, after a colon:
  method=NAME      a method for transformers, or `float`.
  attention=NAME   another method's attention in the same network: `bibert`
                   (Bi-Attention), `all_ones`, `rounded_softmax`.
  context=SPEC     binarizer of the context, the input of the output projection.
                   With `bivit`, gradients pass up to 4 by default; the authors'
                   window, `context=bivit`, passes almost none
                   (`bnnjax.methods.bivit`). Others have their own.
  mlp=w1a1|w1a32   bits of the MLPs; the paper's on ImageNet are `w1a32`.
  cross_layer=0    `bivit` binarizes the MLPs from the start, and not after half
                   of the run (cross-layer binarization).
  model=linear     softmax regression on the pixels, the cheapest baseline.
  teacher=WORKDIR  a trained float run: the student starts from its weights and
                   learns from its soft labels.
  images=N         the first N images of the full Fashion-MNIST; 0: the embedded
                   10,000.
  validate         evaluates on images that no run trains on, `train[50000:]`
                   (of the embedded ones, the last 10 %), instead of the test
                   images: for choices.
  epochs=10.0, lr=2e-3, seed=0, smoke (fake images, takes seconds).
Patches are 7x7, which gives 16 tokens and the class token; patch embedding,
norms and head are float.
Measured: experiments/fashion_mnist_vit.md.
"""

from bnnjax import config as config_lib
from bnnjax.core import registry
from bnnjax.errors import UserError
from bnnjax.layers import attention as attention_lib

MODELS = {
  "vit": {"name": "vit", "patch": 7, "features": 64, "heads": 2, "blocks": 3},
  "linear": {"name": "mlp", "hidden": ()},
}
MLPS = {"w1a1": {}, "w1a32": {"mlp_act": "float"}}
CONTEXT = {"bivit": "ste(clip=4.0)"}
TRAINING = 50_000  # images from here on validate


def get_config(arg: str = ""):
  arg = config_lib.parse_arg(
    arg,
    method="bivit",
    attention="",
    context="",
    mlp="w1a1",
    cross_layer=True,
    model="vit",
    teacher="",
    images=0,
    validate=False,
    epochs=10.0,
    lr=2e-3,
    seed=0,
    smoke=False,
  )
  check(arg)
  config = config_lib.base()
  config.seed = arg.seed
  config.epochs = arg.epochs
  set_data(config.data, arg)
  config.model = dict(registry.pick("model", arg.model, MODELS))
  config_lib.use_method(config, arg.method)
  if arg.method != "float":
    binarize(config, arg)
  config.optim.update(
    name="adamw",
    lr=arg.lr,
    weight_decay=0.05,
    decay_latent=False,
    schedule="cosine",
    warmup=0.1,
  )
  if arg.teacher:
    config.init = arg.teacher
    config.task.distill = {"teacher": arg.teacher}
  config.eval_every = arg.epochs  # once, at the end
  if arg.smoke:
    config_lib.make_smoke(config)
    if arg.model == "vit":
      config.model.update(features=16, heads=2, blocks=1)
  return config.lock()


def check(arg):
  """Refuses arguments that the run would ignore."""
  low_bit = arg.attention or arg.context or arg.mlp != "w1a1"
  if arg.method == "float" and low_bit:
    raise UserError(
      "`attention`, `context` and `mlp` say how to binarize: leave them out with"
      " `method=float`."
    )
  if arg.model == "linear" and arg.method != "float":
    raise UserError(
      "The linear model has float layers alone: give it `method=float`, got"
      f" {arg.method!r}."
    )
  most = TRAINING if arg.validate else 60_000
  if not 0 <= arg.images <= most:
    others = f"; the others validate: got {arg.images:,}"
    raise UserError(
      f"`images` must be between 0 and {most:,}"
      f"{others if arg.validate else f': got {arg.images:,}'}."
    )


def set_data(data, arg):
  """Source, splits and augmentation."""
  if arg.images:
    data.update(name="fashion_mnist", train_split=f"train[:{arg.images}]")
  else:
    data.name = "fashion_mnist_mini"
  if arg.validate and arg.images:
    data.eval_split = f"train[{TRAINING}:]"
  elif arg.validate:
    data.update(train_split="train[:90%]", eval_split="train[90%:]")
  data.batch_size = 64
  if arg.model != "linear":  # whose weights would become symmetric
    data.augment = ("flip",)


def binarize(config, arg):
  """Attention, context and MLPs of a 1-bit network, in place."""
  attention = attention_lib.options(
    arg.attention or config.model.get("attention")
  )
  context = arg.context or CONTEXT.get(arg.method)
  if context:
    attention["context"] = context
  mlp = registry.pick("`mlp`", arg.mlp, MLPS)
  config.model = {**config.model, **mlp, "attention": attention}
  if arg.method == "bivit" and arg.cross_layer:
    config.stages = (
      {"until": 0.5, "model": {"mlp_weight": "float", "mlp_act": "float"}},
      {"until": 1.0, "restart": True},
    )
