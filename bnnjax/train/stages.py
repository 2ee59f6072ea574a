"""Stages of a run: one network and one optimizer each, and what one hands on.

A run has one stage unless `config.stages` says otherwise, e.g. binary
activations first, then binary weights too.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from flax import nnx
from jax.sharding import Mesh

from bnnjax.core import number_checks
from bnnjax.core.progress import to_step
from bnnjax.errors import UserError
from bnnjax.layers.binarizer_state import reinitialize_from_weights
from bnnjax.layers.variables import BinarizerParam
from bnnjax.train import ema, optim, sharding
from bnnjax.train.config import StageSettings
from bnnjax.train.networks import Network
from bnnjax.train.state import State

_WEIGHT = ("weight", "params")  # where a layer keeps the scales of its kernel


@dataclasses.dataclass(frozen=True)
class Stage:
  """A part of the run with one network and one optimizer.

  Attributes:
    start, stop: steps of the run; `stop` belongs to the next stage.
    network, optimizer: what is trained, and how.
    fresh: whether optimizer and schedule start anew.
    rates: learning rates by step of the run, see `optim.rates`.
    accumulate: microbatches of a step.
    average: of the parameters over the steps, if any.
  """

  start: int
  stop: int
  network: Network
  optimizer: Any
  fresh: bool
  rates: optim.Rates
  accumulate: int = 1
  average: ema.Average | None = None


def make(
  settings: Sequence[StageSettings], networks: Sequence[Network], steps: int
) -> list[Stage]:
  """The stages of a run.

  Args:
    settings: of the stages.
    networks: of the stages.
    steps: of the run; 0: nothing is trained, and the last network is deployed.

  Raises:
    ValueError: the stages do not follow each other to the end of the run, or
      an optimizer that differs in more than `bop` would continue with the
      moments of another.
  """
  if steps > number_checks.INT32:
    raise ValueError(
      f"The run has {steps:.3g} steps, of which {number_checks.INT32} can be counted:"
      " lower `epochs`."
    )
  if not steps:
    return [_untrained(settings[-1], networks[-1])]
  binary = any("binary" in jax.tree.leaves(n.kinds) for n in networks)
  stages, start, began, before = [], 0, 0, {}
  for entry, network in zip(settings, networks, strict=True):
    stop, optim_ = _end_of(entry, start, steps), entry.optim
    fresh = entry.restart and start > 0
    # Bop's average is the same thing under other numbers.
    same = not start or {**optim_, "bop": before["bop"]} == before
    if not (entry.restart or same):
      raise ValueError(
        f"The stage until {entry.until} has another `optim` than the one before"
        ' it: give it `"restart": True`.'
      )
    began = start if fresh else began
    # A schedule that restarts spans its own stage, any other the whole run.
    span = (stop if entry.restart else steps) - began
    # Fields of the run that this stage leaves unread are not its mistake.
    inherited = _field_names(optim_) - _field_names(entry.own)
    optimizer = optim.make_optimizer(
      optim_,
      span,
      network.kinds,
      binary=binary,
      inherited=inherited,
      stacked=network.stacked,
    )
    rates = optim.rates(optim_, span, network.kinds, began)
    decay, parts = optim_["ema"], optim_["accumulate"]
    average = ema.Average(decay, began) if decay else None
    stages.append(
      Stage(start, stop, network, optimizer, fresh, rates, parts, average)
    )
    start, before = stop, optim_
  if start != steps:
    raise ValueError(
      f"The last stage ends at step {start}, the run at {steps}: its `until`"
      " must be 1.0."
    )
  return stages


def _untrained(entry: StageSettings, network: Network) -> Stage:
  """The only stage of a run without a step."""
  settings = {**entry.optim, "warmup": 0, "decay_until": 1.0}
  optimizer = optim.make_optimizer(settings, 1, network.kinds)
  rates = optim.rates(settings, 1, network.kinds)
  return Stage(0, 0, network, optimizer, fresh=False, rates=rates)


def _end_of(entry: StageSettings, start: int, steps: int) -> int:
  stop = to_step(entry.until, steps)
  if stop <= start:
    raise ValueError(
      f"The `until` times of `stages` must increase: {entry.until} is step"
      f" {stop}, the stage begins at {start}."
    )
  return stop


def _field_names(settings: Mapping[str, Any]) -> set[str]:
  """Names of the fields of `config.optim`, with those of its rule `bop`."""
  return {*settings, *(f"bop.{field}" for field in settings.get("bop", ()))}


def stage_at(stages: Sequence[Stage], step: int) -> Stage:
  """The stage whose network a checkpoint of that step holds.

  Raises:
    UserError: the step is after the end of the run.
  """
  for stage in stages:
    if step <= stage.stop:
      return stage
  raise UserError(
    f"The checkpoint is of step {step}, after the end of the run"
    f" ({stages[-1].stop})."
  )


def first_state(stage: Stage, seed: int, mesh: Mesh) -> State:
  """The state of a stage before any step, its average included."""
  new = sharding.new_state(stage.network, stage.optimizer, seed, mesh)
  return ema.begin(stage.network, new) if stage.average else new


def enter(stage: Stage, state: State, seed: int, mesh: Mesh) -> State:
  """The state with which a stage begins, from the end of the one before."""
  new = first_state(stage, seed, mesh)
  return carry_over(stage.network, state, new, fresh=stage.fresh)


def carry_over(
  network: Network, old: State, new: State, *, fresh: bool
) -> State:
  """`new` with the arrays that `old` has under the same path and shape.

  Variables that exist only in the new stage keep their initial values; new
  scales are measured from the weights (in the average: from the averaged
  weights). The average continues, or begins with the parameters if there is none.

  Args:
    network: of the new stage.
    old, new: states of the two stages.
    fresh: whether the optimizer starts anew.
  """
  passed = _carry_arrays(network, old, new, fresh)
  if ema.PART not in new:
    return passed
  if ema.PART not in old:
    return ema.begin(network, passed)
  mean = _carry_arrays(network, {**old, **ema.deployed(old)}, new, fresh=True)
  return {**passed, ema.PART: ema.begin(network, mean)[ema.PART]}


def _carry_arrays(
  network: Network, old: State, new: State, fresh: bool
) -> State:
  """As `carry_over`, for a state without its average."""
  parts = ("params", "rest") if fresh else ("params", "rest", "opt")
  kept = {
    jax.tree_util.keystr(path): leaf
    for path, leaf in jax.tree_util.tree_leaves_with_path(
      {part: old[part] for part in parts}
    )
  }

  def take(path, leaf):
    mine = kept.get(jax.tree_util.keystr(path))
    return leaf if mine is None or mine.shape != leaf.shape else mine

  moved = jax.tree_util.tree_map_with_path(
    take, {part: new[part] for part in parts}
  )
  moved |= _measure_new_scales(network, moved, old)
  return {**new, **moved, "step": old["step"], "bad_step": old["bad_step"]}


def _measure_new_scales(network: Network, state: State, old: State) -> State:
  """`params` and `rest`; scales that `old` lacks are those of the weights."""
  model = network.merge(state)
  known = {path for path, _ in nnx.to_flat_state(nnx.State(old["params"]))}
  found = nnx.to_flat_state(nnx.state(model, BinarizerParam))
  paths = [path for path, _ in found if path not in known]
  # `blocks.0.linear.weight.params.scale` is of the layer `blocks.0.linear`.
  layers = {".".join(map(str, p[:-3])) for p in paths if p[-3:-1] == _WEIGHT}
  reinitialize_from_weights(model, layers)
  _, params, rest = nnx.split(model, nnx.Param, ...)
  return {"params": nnx.to_pure_dict(params), "rest": nnx.to_pure_dict(rest)}
