"""The fields of a training config in one table: name, default, meaning.

`bnnjax train --config=FILE --fields` prints it with the values of a file. This
module imports little: the command line checks names before it loads the rest.
"""

from typing import Any, NamedTuple

from ml_collections import ConfigDict


class Field(NamedTuple):
  """Default and meaning of a field."""

  default: Any
  meaning: str


# Groups whose fields only the source, model, task or optimizer knows.
OPEN = ("data.options", "model", "task", "optim.options", "optim.latent")

FIELDS: dict[str, Field] = {
  "seed": Field(0, "seed of initialisation, data order and augmentation"),
  "epochs": Field(
    1.0,
    "passes over the training split; `steps` overrides it; 0 only evaluates"
    " what `init` gives: binarization after training",
  ),
  "steps": Field(0, "optimizer steps of the run; 0: as `epochs` says"),
  "load": Field((), "Python files that are run first (`--load`)"),
  "data.name": Field("", "source (`bnnjax list source`)"),
  "data.shape": Field(
    (),
    "shape of an image after `eval_augment`; or (tokens,) of a text, which sets"
    " `max_len` of its source; empty: as the source says",
  ),
  "data.vocab": Field(
    0, "size of the vocabulary of a text; 0: as the source says"
  ),
  "data.num_classes": Field(0, "number of classes; 0: as the source says"),
  "data.batch_size": Field(128, "examples per step, on all devices together"),
  "data.augment": Field((), "augmentations (`bnnjax list augment`), in order"),
  "data.eval_augment": Field((), "the same for evaluation"),
  "data.eval_batch_size": Field(512, "examples per step of evaluation"),
  "data.train_split": Field("train", "split to train on"),
  "data.eval_split": Field("test", "split to evaluate on"),
  "data.options": Field({}, "options of the source"),
  "data.threads": Field(1, "threads that read"),
  "data.workers": Field(0, "processes that read and augment"),
  "model": Field({}, "name (`bnnjax list model`) and arguments of the model"),
  "model.name": Field("", "the model"),
  "init": Field(
    "",
    "workdir of a trained run, or `.safetensors` file, whose parameters the run"
    " starts from; empty: random",
  ),
  "task": Field({}, "name (`bnnjax list task`) and arguments of the task"),
  "task.name": Field("classification", "the task"),
  "optim.name": Field("adam", "factory of optax: adam, adamw, sgd, lamb, ..."),
  "optim.lr": Field(1e-3, "peak learning rate"),
  "optim.options": Field({}, "arguments of the factory (`b1`, `momentum` ...)"),
  "optim.schedule": Field(
    "cosine", "cosine, linear or constant, after the warm-up"
  ),
  "optim.warmup": Field(0.0, "time until the peak is reached, linearly from 0"),
  "optim.decay_until": Field(
    1.0, "time at which `end_lr` is reached; constant after it"
  ),
  "optim.end_lr": Field(0.0, "learning rate at the end of the schedule"),
  "optim.weight_decay": Field(
    0.0,
    "decoupled for adamw, lamb and lion; else added to the gradient (the"
    " derivative of `wd/2 ||p||^2`). Applies to tensors with more than one axis,"
    " but not to scales and thresholds of binarizers",
  ),
  "optim.decay_latent": Field(
    True,
    "whether latent weights decay too, towards 0, where signs flip; in PokeBNN"
    " they do, in most other recipes not",
  ),
  "optim.latent_clip": Field(
    0.0,
    "latent weights are clipped to [-c, c] after each update; 0: they are not",
  ),
  "optim.projection": Field(
    "",
    "latent weights pass through this function after each update, e.g."
    " `center_clamp` (XNOR-Net; `bnnjax list projection`)",
  ),
  "optim.penalty": Field(
    "",
    "function of the latent weights of a layer that is added to the loss, summed"
    " over the layers, e.g. `sine(tau=0.037)` (BiPer; `bnnjax list penalty`);"
    " the logged loss lacks it",
  ),
  "optim.bop.gamma": Field(
    1e-4,
    "adaptivity rate of the rule for binary weights without latent ones"
    " (`method=bop`), see `bnnjax.train.bop`",
  ),
  "optim.bop.threshold": Field(1e-8, "threshold of the same rule"),
  "optim.bop.schedule": Field(
    "constant",
    "schedule of gamma: constant, linear, cosine or exponential, to `end_gamma`"
    " at the end of the run, or of the stage if it restarts",
  ),
  "optim.bop.end_gamma": Field(0.0, "gamma at the end of its schedule"),
  "optim.grad_clip": Field(
    0.0, "largest global norm of the gradient; 0: no limit"
  ),
  "optim.accumulate": Field(
    1,
    "microbatches per step, computed one after the other in the memory of one;"
    " together they have `data.batch_size` examples",
  ),
  "optim.ema": Field(
    0.0,
    "decay of the moving average of the parameters, e.g. 0.999; less in the"
    " first steps (`bnnjax.train.ema`). The averaged network is evaluated, and"
    " it is used by `eval`, `sample`, `init` and as a teacher; 0: no average",
  ),
  "optim.latent": Field(
    {},
    "fields of `optim` that differ for latent weights; only those from `name`"
    " to `decay_latent`, which an update rule reads",
  ),
  "mesh.fsdp": Field(
    1,
    "`fsdp` x `tensor` devices shard the parameters, see"
    " `bnnjax.train.sharding`; 1 and 1: every device has all",
  ),
  "mesh.tensor": Field(1, "devices that split the work of a layer"),
  "stages": Field(
    (),
    "consecutive parts of the run, each a dict of `until` (a time), and"
    " optionally `model` (arguments that differ), `optim` (fields that differ)"
    " and `restart` (fresh optimizer and schedule; without it only `optim.bop`"
    " may differ, and its average is kept)",
  ),
  "events": Field((), "((when, name), ...), each applied between two steps"),
  "eval_every": Field(1.0, "epochs between evaluations (and checkpoints)"),
  "checkpoint.every_minutes": Field(
    0.0,
    "minutes between checkpoints, in addition to those of evaluations; 0: none."
    " A run that SIGTERM or Ctrl-C stops is saved in any case",
  ),
  "checkpoint.every_steps": Field(0, "the same in steps"),
  "log_every": Field(20, "steps between log lines"),
  "diagnostics": Field(
    0,
    "steps between lines of `diagnostics.jsonl`; 0: no such file. The record has"
    " two measures of the last line, means over the binarized layers:"
    " `estimating_error`, the L2 distance between sign(w) and sign(w)|w|^(1/o)"
    " at the current o of ReSTE (1 for other estimators), and"
    " `gradient_variance`, the variance of |gradient| over the latent weights",
  ),
  "tensorboard": Field(
    False, "also write TensorBoard files (extra `tensorboard`)"
  ),
}  # a time is a fraction of the run (float) or a step (int)


def base() -> ConfigDict:
  """A config with every field at its default, unlocked."""
  config = ConfigDict()
  for name, field in FIELDS.items():
    *groups, key = name.split(".")
    place = config
    for group in groups:
      if group not in place:
        place[group] = {}
      place = place[group]
    place[key] = field.default
  return config


def is_open(name: str) -> bool:
  """Whether a field belongs to a group that accepts any name."""
  return any(name.startswith(f"{group}.") for group in OPEN)


def is_plain(value: Any) -> bool:
  """Whether JSON, and so a config, can hold a value."""
  if isinstance(value, (tuple, list)):
    return all(is_plain(v) for v in value)
  if hasattr(value, "items"):
    return all(isinstance(k, str) and is_plain(v) for k, v in value.items())
  return value is None or isinstance(value, (bool, int, float, str))


def listing(config: ConfigDict) -> str:
  """Lists every field with type, default and meaning, and a config's values.

  The arguments that the config sets in an open group are listed under it.
  """
  lines = []
  values = by_dotted_name(config)
  for name, (default, meaning) in FIELDS.items():
    kind = type(default).__name__
    shown = "" if name in OPEN else f" = {default!r}"
    lines.append(f"{name}: {kind}{shown}\n    {meaning}")
    value = values.pop(name, default)
    if value != default:
      lines.append(f"    here: {value!r}")
    for other in [
      n for n in values if name in OPEN and n.startswith(f"{name}.")
    ]:
      if other not in FIELDS:
        lines.append(f"    here: {other} = {values.pop(other)!r}")
  lines.append(
    "A time is a fraction of the run (float) or a step (int). Set a field by"
    " --config.FIELD=VALUE. Groups without a default accept the arguments of the"
    " source, model, task or optimizer."
  )
  return "\n".join(lines)


def by_dotted_name(config: Any, path: str = "") -> dict[str, Any]:
  """Values of a config by dotted name.

  Example:
    >>> by_dotted_name({"optim": {"lr": 0.1}, "stages": ()})
    {'optim.lr': 0.1, 'stages': ()}
  """
  found = {}
  for key, value in config.items():
    if hasattr(value, "items"):
      found |= by_dotted_name(value, f"{path}{key}.")
    else:
      found[f"{path}{key}"] = value
  return found
