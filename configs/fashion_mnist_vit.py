r"""A small vision transformer, binary or float, on Fashion-MNIST.

  bnnjax train --config=configs/fashion_mnist_vit.py:method=float
  bnnjax train --config=configs/fashion_mnist_vit.py:method=bivit,teacher=runs/fashion_mnist_vit-method=float

Arguments: `:method=NAME` (a method for transformers, or `float`),
`:teacher=WORKDIR` (a trained float run: the student starts from its weights and
learns from its soft labels), `:full` (all 60,000 images instead of the embedded
10,000), `:smoke` (fake images, takes seconds), `:seed=0`. Patches are 4x4,
which gives 49 tokens; patch embedding, norms and head are float. BiViT
binarizes attention in the first part of the run and also the MLPs in the second
(cross-layer binarization); `bibert_baseline` binarizes everything at once and
rounds the softmax at 1/2.
Measured: experiments/fashion_mnist_vit.md.
"""

from bnnjax import config as config_lib

PATCH = 4


def get_config(arg: str = ""):
  arg = config_lib.parse_arg(
    arg, method="bivit", teacher="", full=False, smoke=False, seed=0
  )
  config = config_lib.base()
  config.seed = arg.seed
  config.epochs = 5.0
  config.data.update(
    name="fashion_mnist" if arg.full else "fashion_mnist_mini",
    augment=("flip",),
    batch_size=32,  # signs need many steps: 468 steps of 128 gave BiViT 44 %
  )
  config.model = {
    "name": "vit",
    "patch": PATCH,
    "features": 64,
    "heads": 2,
    "blocks": 3,
  }
  config_lib.use_method(config, arg.method)
  config.optim.update(lr=1e-3, schedule="cosine", warmup=0.1)
  if arg.teacher:
    config.init = arg.teacher
    config.task.distill = {"teacher": arg.teacher}
  if arg.method == "bivit":
    config.stages = (
      {"until": 0.4, "model": {"mlp_weight": "float", "mlp_act": "float"}},
      {"until": 1.0, "restart": True},
    )
  config.eval_every = 2.5
  if arg.smoke:
    config_lib.make_smoke(config)
    config.model.update(features=16, heads=2, blocks=1)
  return config.lock()
