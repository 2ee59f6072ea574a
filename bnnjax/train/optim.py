"""Optimizers by variable type, schedules, weight decay, latent clipping.

`bnnjax.train.config_fields` lists the fields of `config.optim`.

A field that is set but that nothing reads is an error, e.g. `end_lr` with the
schedule "constant".
"""

import warnings
from collections.abc import Callable, Container, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from bnnjax.core import registry
from bnnjax.core.progress import to_step
from bnnjax.core.settings import Settings
from bnnjax.train import bop as bop_lib
from bnnjax.train import config_fields, optim_options, penalty

SCHEDULES = ("cosine", "linear", "constant")
_OF_SCHEDULE = ("lr", "schedule", "warmup", "decay_until", "end_lr")
DECOUPLED = ("adamw", "lamb", "lion")


def make_schedule(optim: Mapping[str, Any], steps: int) -> optax.Schedule:
  """Learning rate as a function of the step.

  Args:
    optim: `lr`, `schedule`, `warmup`, `decay_until`, `end_lr`.
    steps: of the run, or of the stage if it restarts the schedule.

  Raises:
    ValueError: the schedule is unknown, or its times are out of order or beyond
      the run.
  """
  if optim["schedule"] not in SCHEDULES:
    raise registry.unknown("schedule", optim["schedule"], SCHEDULES)
  if not 0 < optim["lr"] < float("inf"):
    raise ValueError(f"`optim.lr` must be above 0, got {optim['lr']}.")
  peak, warmup = optim["lr"], to_step(optim["warmup"], steps)
  falls = optim["schedule"] != "constant"  # else end and time are not read
  until = to_step(optim["decay_until"], steps) if falls else steps
  if until > steps:
    raise ValueError(
      f"`optim.decay_until` is step {until}, after the {steps} steps of the run"
      " (or stage): `end_lr` would never be reached. Set an earlier time, or"
      " train longer."
    )
  if not warmup < until:
    named = "`optim.decay_until`" if falls else "the run"
    raise ValueError(
      f"`optim.warmup` ({warmup} steps) must end before {named} ({until} steps)."
    )
  decay = optax.constant_schedule(peak)
  if falls:
    end, span = optim["end_lr"], until - warmup
    decay = {
      "linear": lambda: optax.linear_schedule(peak, end, span),
      "cosine": lambda: optax.cosine_decay_schedule(peak, span, end / peak),
    }[optim["schedule"]]()
  if not warmup:
    return decay
  ramp = optax.linear_schedule(0.0, peak, warmup)
  return optax.join_schedules([ramp, decay], [warmup])


Rates = Callable[[int], dict[str, float]]


def rates(
  optim: Mapping[str, Any], steps: int, kinds: Any, began: int = 0
) -> Rates:
  """The learning rates that `make_optimizer` uses with these arguments.

  Args:
    optim: `config.optim`.
    steps: that the schedule spans.
    kinds: tree of labels, shaped like the parameters.
    began: step of the run at which the schedule began.

  Returns:
    A function of the step of the run (from 0) that gives `lr`, and `lr_latent`
    if `optim.latent` changes it.
  """
  schedules = {"lr": make_schedule(optim, steps)}
  own = {**optim, **optim["latent"]}
  if any(own[f] != optim[f] for f in _OF_SCHEDULE) and "latent" in (
    jax.tree.leaves(kinds)
  ):
    schedules["lr_latent"] = make_schedule(own, steps)
  return lambda step: {k: float(s(step - began)) for k, s in schedules.items()}


def make_optimizer(
  optim: Mapping[str, Any],
  steps: int,
  kinds: Any,
  *,
  binary: bool = False,
  inherited: Container[str] = (),
  stacked: Any = None,
) -> optax.GradientTransformation:
  """The optimizer of a run.

  Args:
    optim: `config.optim`.
    steps: of the run.
    kinds: tree of labels, shaped like the parameters, see
      `state.Network.kinds`.
    binary: some stage of the run has binary weights without latent ones. The
      optimizer states of all stages then have the same parts, so that one stage
      can continue from another.
    inherited: fields that another stage of the run reads, even if this one does
      not, e.g. `"end_lr"` or `"bop.end_gamma"`.
    stacked: see `penalty.add_penalty`.

  Raises:
    ValueError: the optimizer or the schedule is unknown, it does not take or
      cannot use an option, or nothing reads a field.
  """
  defaults = config_fields.base().optim.to_dict()
  shared = Settings("optim", optim, defaults)
  own = dict(shared["latent"])
  # Falls back to the shared fields; what it reads of them counts as read.
  latent = Settings("optim.latent", own, dict(optim), strict=True)
  rules = {
    "float": _one(shared, steps, kinds),
    "latent": _one(latent, steps, kinds),
    "binary": _bop(shared["bop"], defaults["bop"], steps, inherited),
  }
  latent.refuse_unread("in a rule for some of the weights")
  shared.read |= latent.read
  binary = binary or "binary" in jax.tree.leaves(kinds)
  chain = []
  if shared["penalty"]:
    chain.append(penalty.add_penalty(shared["penalty"], kinds, stacked))
  if shared["grad_clip"]:
    chain.append(optax.clip_by_global_norm(shared["grad_clip"]))
  if own or binary:
    labels = jax.tree.map(lambda k: k if k in rules else "float", kinds)
    chain.append(optax.multi_transform(rules, labels))
  else:
    chain.append(rules["float"])
  if shared["latent_clip"]:
    bound = shared["latent_clip"]
    chain.append(project_latent(lambda w: jnp.clip(w, -bound, bound), kinds))
  if shared["projection"]:
    project = registry.get("projection", shared["projection"])
    chain.append(project_latent(project, kinds))
  shared.read |= {"accumulate", "ema"}  # by the train step
  shared.read |= {field for field in defaults if field in inherited}
  shared.refuse_unread(f"with the schedule {shared['schedule']!r}")
  return optax.chain(*chain)


def _bop(
  given: Mapping[str, Any],
  defaults: Mapping[str, Any],
  steps: int,
  inherited: Container[str],
) -> optax.GradientTransformation:
  """The update rule of binary weights."""
  settings = Settings("optim.bop", given, defaults)
  rule = bop_lib.bop(bop_lib.make_gamma(settings, steps), settings["threshold"])
  settings.read |= {f for f in defaults if f"bop.{f}" in inherited}
  settings.refuse_unread(f"with the schedule {settings['schedule']!r}")
  return rule


# Fields that only the weights of one kind read.
_OF_KIND = {
  "latent": ("latent", "latent_clip", "projection", "penalty"),
  "binary": ("bop",),
}


def warn_unused(optim: Mapping[str, Any], kinds: Container[str]) -> None:
  """Warns if a field is set for weights that the network does not have.

  Args:
    optim: `config.optim` as a dict.
    kinds: of all parameters, see `state.Network.kinds`.
  """
  defaults = config_fields.base().optim.to_dict()
  for kind, fields in _OF_KIND.items():
    idle = [f for f in fields if optim[f] != defaults[f]]
    if idle and kind not in kinds:
      warnings.warn(
        f"The network has no {kind} weights, which alone read"
        f" {', '.join(f'`optim.{f}`' for f in idle)}: leave it out, or check"
        " `model.weight`.",
        stacklevel=2,
      )


def _one(optim: Settings, steps: int, kinds) -> optax.GradientTransformation:
  name, decay = optim["name"], optim["weight_decay"]
  decay_latent = optim["decay_latent"]

  def decays(params):
    # multi_transform replaces the parameters of other rules by MaskedNode.
    return jax.tree.map(
      lambda p, kind: (
        getattr(p, "ndim", 0) > 1
        and (kind == "float" or (kind == "latent" and decay_latent))
      ),
      params,
      kinds,
      is_leaf=lambda x: isinstance(x, optax.MaskedNode),
    )

  options = dict(optim["options"])
  optim_options.check(name, options)
  if name in DECOUPLED:
    options |= {"weight_decay": decay, "mask": decays}
    decay = 0.0
  try:
    rule = getattr(optax, name)(make_schedule(optim, steps), **options)
  except TypeError as error:
    raise ValueError(
      f"`optim.options` of {name}: {error}. Given: {sorted(optim['options'])}."
    ) from error
  if not decay:
    return rule
  return optax.chain(optax.add_decayed_weights(decay, decays), rule)


def project_latent(
  project: Callable[[jax.Array], jax.Array], kinds: Any
) -> optax.GradientTransformation:
  """Replaces latent weights by `project(weights)` after the update.

  The surrogate gradient of a clipped estimator is 0 outside its window, so a
  latent weight that left the window would never flip again.
  """

  def update(updates, state, params):
    if params is None:
      raise ValueError("`project_latent` needs the parameters.")
    projected = jax.tree.map(
      lambda u, p, kind: project(p + u) - p if kind == "latent" else u,
      updates,
      params,
      kinds,
    )
    return projected, state

  return optax.GradientTransformation(lambda _: optax.EmptyState(), update)
