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
  teacher=WORKDIR  a trained float run: the student starts from its weights and
                   learns from its soft labels.
  images=N         the first N images of the whole Fashion-MNIST, tested on its
                   10,000 test images; 0: the embedded 10,000.
  validate         with `images`: evaluates on the last 10,000 training images
                   instead, which no run trains on, for choices.
  epochs=10.0, batch=32, lr=3e-3, seed=0, smoke (fake images, takes seconds).
Patches are 7x7, which gives 16 tokens and the class token; patch embedding,
norms and head are float. No image is mirrored: in this data set, shoes point to
the left.
Measured: experiments/bivit.md.
"""

from bnnjax import config as config_lib
from bnnjax.core import registry
from bnnjax.errors import UserError
from bnnjax.layers import attention as attention_lib

MLPS = {"w1a1": {}, "w1a32": {"mlp_act": "float"}}
CONTEXT = {"bivit": "ste(clip=4.0)"}


def get_config(arg: str = ""):
  arg = config_lib.parse_arg(
    arg,
    method="bivit",
    attention="",
    context="",
    mlp="w1a1",
    cross_layer=True,
    teacher="",
    images=0,
    validate=False,
    epochs=10.0,
    batch=32,
    lr=3e-3,
    seed=0,
    smoke=False,
  )
  if arg.method == "float" and (
    arg.attention or arg.context or arg.mlp != "w1a1"
  ):
    raise UserError(
      "`attention`, `context` and `mlp` say how to binarize: leave them out with"
      " `method=float`."
    )
  config = config_lib.base()
  config.seed = arg.seed
  config.epochs = arg.epochs
  config.data.update(name="fashion_mnist_mini", batch_size=arg.batch)
  config_lib.use_images(config, arg.images, validate=arg.validate)
  config.model = {
    "name": "vit",
    "patch": 7,
    "features": 64,
    "heads": 2,
    "blocks": 3,
  }
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
    config.model.update(features=16, heads=2, blocks=1)
  return config.lock()


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
