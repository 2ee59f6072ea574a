"""Config of the runs that are disturbed: seconds, many checkpoints.

  bnnjax train --config=tests/chaos/config.py:model=mamba,text=FILE

Arguments: `:model=mlp` (on fake images), `decoder` or `mamba` (on a text),
`:text=FILE`, `:steps=N` (0: as many as suit the model), `:seed=0`,
`:init=WORKDIR`, `:teacher=WORKDIR`, `:workers=0`. Parameters are averaged.
"""

from bnnjax import config as config_lib
from tests.chaos.texts import VOCAB

SIZES = {
  "mlp": {"hidden": (16, 16)},
  "decoder": {"features": 16, "blocks": 1, "heads": 2, "hidden": 32},
  "mamba": {
    "features": 16, "blocks": 1, "state": 8, "head_size": 16, "chunk": 8
  },
}  # fmt: skip


def get_config(arg: str = ""):
  arg = config_lib.parse_arg(
    arg,
    model="mlp",
    text="",
    steps=0,
    seed=0,
    init="",
    teacher="",
    workers=0,
  )
  config = config_lib.base()
  config.seed = arg.seed
  config.init = arg.init
  config.model = {"name": arg.model, **SIZES[arg.model]}
  if arg.model == "mlp":
    config.data.update(shape=(4, 4, 1), num_classes=3)
    config_lib.make_smoke(config)
    config.steps, config.eval_every = 240, 10.0  # 40 steps
  else:
    options = {"path": arg.text, "tokenizer": "chars", "context": 4}
    config.data.update(
      name="text_file", shape=(16,), vocab=VOCAB, options=options
    )
    config.data.update(batch_size=16, eval_batch_size=16)
    config.task = {"name": "language_modeling"}
    config.steps, config.eval_every = 150, 1.0
  config.steps = arg.steps or config.steps
  config.data.workers = arg.workers
  if arg.teacher:
    config.task.distill = {"teacher": arg.teacher}
  config.optim.ema = 0.9
  config.log_every, config.diagnostics = 10, 7
  config.checkpoint.every_steps = 15
  return config.lock()
