r"""PokeBNN on ImageNet: the paper's recipe (arXiv:2112.00133, google/aqt).

  bnnjax train --config=configs/imagenet_pokebnn.py:width=1.0,teacher=runs/teacher
  bnnjax cost --config=configs/imagenet_pokebnn.py:width=1.0 --json

Arguments: `:width=1.0` (multiples of 0.25), `:teacher=WORKDIR` (a trained run
whose soft labels replace the labels; the paper uses an 8-bit ResNet-50),
`:smoke` (fake images, takes seconds), `:seed=0`.
Published: 73.4 % top-1 at width 1.0. Not run here: ImageNet is not available.
"""

from bnnjax import config as config_lib


def get_config(arg: str = ""):
  arg = config_lib.parse_arg(arg, smoke=False, width=1.0, teacher="", seed=0)
  config = config_lib.base()
  config.seed = arg.seed
  config.epochs = 800.0
  config.data.update(
    name="tfds:imagenet2012",
    shape=(224, 224, 3),
    num_classes=1000,
    batch_size=8192,
    eval_batch_size=4096,
    augment=("random_resized_crop(224)", "flip"),
    eval_augment=("resize(256)", "center_crop(224)"),
    eval_split="validation",
    threads=16,
  )
  config.model = {
    "name": "pokebnn",
    "width": arg.width,
    "quant_start": 50 / 800,
    "dtype": "bfloat16",
  }
  if arg.teacher:
    config.task.distill = {
      "teacher": arg.teacher,
      "temperature": 1.0,
      "weight": 1.0,
    }
  config.optim.update(
    lr=2e-5 * 8192 / 256,
    options={"b1": 0.9, "b2": 0.99},
    schedule="linear",
    decay_until=750 / 800,  # then 0 for the last 50 epochs
    weight_decay=5e-5,
  )
  config.events = ((7500 / 124_800, "freeze_bounds"),)
  config.eval_every = 5.0
  config.log_every = 100
  if arg.smoke:
    config_lib.make_smoke(config)
    config.model.update(
      width=1.0, stages=((8, 1),), stem_features=8, init_features=4
    )
  return config.lock()
