r"""ReActNet (MobileNet form) on ImageNet: the released recipe (2003.03488).

  bnnjax train --config=configs/imagenet_reactnet.py:variant=A,teacher=runs/teacher
  bnnjax cost --config=configs/imagenet_reactnet.py --json

Arguments: `:variant=A` (or B, C), `:teacher=WORKDIR` (a trained float run whose
soft labels replace the labels; the authors use a ResNet-34; without a teacher
the labels are smoothed), `:two_step=false` (only the second step, from
scratch), `:smoke` (fake images, takes seconds), `:seed=0`. The two steps are
those of liuzechun/ReActNet: binary activations with float weights, then both
binary. Three things differ: there is no lighting jitter; weight decay acts on
all kernels, the head's too, but not on shifts (the authors' code decays shifts
and means convolutions only); and the learning rate changes within an epoch.
Published: 69.4 % top-1 (A). Not run here: ImageNet is not available.
"""

from bnnjax import config as config_lib

EPOCHS = 256.0  # of a step


def get_config(arg: str = ""):
  arg = config_lib.parse_arg(
    arg, variant="A", teacher="", two_step=True, smoke=False, seed=0
  )
  config = config_lib.base()
  config.seed = arg.seed
  config.epochs = EPOCHS
  config.data.update(
    name="tfds:imagenet2012",
    shape=(224, 224, 3),
    num_classes=1000,
    batch_size=256,
    augment=("random_resized_crop(224)", "flip"),
    eval_augment=("resize(256)", "center_crop(224)"),
    eval_split="validation",
    threads=16,
  )
  config.model = {"name": "reactnet", "variant": arg.variant}
  if arg.teacher:
    config.task.distill = {
      "teacher": arg.teacher,
      "temperature": 1.0,
      "weight": 1.0,  # the distributional loss has no label term
    }
  else:
    config.task.label_smoothing = 0.1
  config.optim.update(name="adam", lr=5e-4, schedule="linear")
  if arg.two_step:
    config.epochs = 2 * EPOCHS
    config.stages = (
      {
        "until": 0.5,
        "model": {"weight": None},
        "optim": {"weight_decay": 1e-5},
        "restart": True,  # the learning rate falls to 0 within each step
      },
      # No decay: it pulls latent weights to 0, where signs flip.
      {"until": 1.0, "restart": True},
    )
  config.eval_every = 5.0
  config.log_every = 100
  if arg.smoke:
    config_lib.make_smoke(config)
    config.model.update(width=0.125, blocks=((32, 1), (64, 2)))
  return config.lock()
