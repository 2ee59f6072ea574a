"""One training step, one evaluation step, one event: pure jitted functions."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from bnnjax import models
from bnnjax.core import registry
from bnnjax.core.progress import Mode, Progress
from bnnjax.layers import collect
from bnnjax.tasks.base import Task
from bnnjax.tasks.checks import checked_outputs
from bnnjax.train import accumulate as accumulate_lib
from bnnjax.train import ema
from bnnjax.train.networks import Network
from bnnjax.train.state import State


class NonFiniteLossError(FloatingPointError):
  """A step produced infinity or NaN; the last good checkpoint is kept."""


def make_train_step(
  network: Network,
  optimizer: optax.GradientTransformation,
  task: Task,
  *,
  steps: int,
  epochs: float,
  teacher: Network | None = None,
  shardings: Any = None,
  accumulate: int = 1,
  average: ema.Average | None = None,
) -> Callable[..., tuple[State, Any]]:
  """`(state, metrics, batch, teacher_state) -> (state, metrics)`, jitted.

  State and metrics are donated. `bad_step` of the state is the first step whose
  batch, loss, gradient or new parameters were not all finite; a state with such
  a step is useless.

  Args:
    network: of the state.
    optimizer: of its parameters.
    task: gives the loss and the metrics.
    steps, epochs: of the run.
    teacher: network of `teacher_state`, if there is one.
    shardings: of the new state, a tree like it; by default the compiler chooses.
    accumulate: number of microbatches.
    average: updates the part `ema` of a state that has it.

  Raises (when the step is traced):
    TypeError: a gradient has another dtype than its parameter.
  """
  gradient = accumulate_lib.make_gradient(network, task, teacher, accumulate)

  @functools.partial(
    jax.jit, donate_argnums=(0, 1), out_shardings=(shardings, None)
  )
  def step(state, metrics, batch, teacher_state):
    mode = Mode.training(Progress.at(state["step"], steps, epochs))
    (loss, (rest, outputs)), grads = gradient(
      state["params"], state["rest"], batch, mode, teacher_state
    )
    norm = optax.tree.norm(grads)
    updates, opt = optimizer.update(grads, state["opt"], state["params"])
    params = optax.apply_updates(state["params"], updates)
    outputs |= {
      "grad_norm": norm,
      "flip_ratio": flip_ratio(state["params"], params, network.kinds),
    }
    # A sign hides a broken pixel from the loss, and an optimizer can turn finite
    # gradients into a broken parameter.
    finite = jnp.isfinite(loss) & jnp.isfinite(norm)
    finite &= all_finite(batch) & all_finite(params)
    first = (state["bad_step"] < 0) & ~finite
    new = {
      "params": params,
      "rest": rest,
      "opt": opt,
      "step": state["step"] + 1,
      "bad_step": jnp.where(first, state["step"], state["bad_step"]),
    }
    if average is not None:
      new[ema.PART] = average.update(network, state, new)
    return new, metrics.merge(
      task.train_metrics.single_from_model_output(**outputs)
    )

  return step


def all_finite(tree: Any) -> jax.Array:
  """Whether no float in the arrays of a tree is infinite or NaN."""
  found = jnp.ones((), bool)
  for x in jax.tree.leaves(tree):
    if jnp.issubdtype(x.dtype, jnp.floating):
      found &= jnp.all(jnp.isfinite(x))
  return found


def make_eval_step(
  network: Network, task: Task, whole: Any = None
) -> Callable[..., tuple[Any, dict[str, jax.Array], jax.Array]]:
  """`(state, metrics, batch) -> (metrics, rows, mask)`, jitted.

  The network is the deployed one. Rows are the outputs `task.gathered`, and the
  mask is that of the batch; `whole` replicates both on every device, so that
  every process can read them.
  """

  @functools.partial(
    jax.jit, donate_argnums=1, out_shardings=(None, whole, whole)
  )
  def step(state, metrics, batch):
    outputs = task.evaluate(network.merge(state), batch)
    outputs = checked_outputs(task, outputs, batch)
    new = metrics.merge(task.eval_metrics.single_from_model_output(**outputs))
    rows = {name: outputs[name] for name in task.gathered}
    return new, rows, batch["mask"]

  return step


def make_event(
  network: Network, name: str, task: Task, *, steps: int, epochs: float
) -> Callable[[State, Any], State]:
  """`(state, batch) -> state`, jitted: an event of the loop.

  The event applies to every binarizer that knows its name; binarizers that learn
  from data do so in one training pass over the batch. An event registered under
  the name (`(model, batch) -> None`, in place) follows.
  """
  extra, learns = None, models.needs_data(network.abstract, name)
  if name in registry.registered("event"):
    extra = registry.get("event", name)

  @jax.jit
  def event(state, batch):
    model = network.merge(state)
    models.apply_event(model, name)
    if learns:
      progress = Progress.at(state["step"], steps, epochs)
      with collect.learning(model, name, progress) as mode:
        task.loss(model, batch, mode)
    if extra is not None:
      extra(model, batch)
    _, params, rest = nnx.split(model, nnx.Param, ...)
    new = {
      **state,
      "params": nnx.to_pure_dict(params),
      "rest": nnx.to_pure_dict(rest),
    }
    return ema.follow(state, new)

  return event


def flip_ratio(before: Any, after: Any, kinds: Any) -> jax.Array:
  """Share of the binarized weights whose sign changed; 0 if there are none."""
  pairs = zip(*(jax.tree.leaves(t) for t in (before, after, kinds)))
  flips, count = jnp.zeros(()), 0
  for old, new, kind in pairs:
    if kind in ("latent", "binary"):
      flips += jnp.sum((old >= 0) != (new >= 0), dtype=jnp.float32)
      count += old.size
  return flips / float(max(count, 1))  # int32 cannot count 2.7 B weights
