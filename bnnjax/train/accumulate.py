"""Gradients of a batch, computed whole or accumulated over microbatches.

With `optim.accumulate = k` a step computes the gradients of `k` microbatches,
each `1 / k` of the batch, one after the other, and takes their mean. This is
the gradient of the whole batch in the memory of one microbatch, provided that
the loss is a mean over examples. A `weighted` task returns the number of terms
of its mean as the output `weight` (microbatches differ in the number of scored
tokens); gradients, loss and scalar outputs are then weighted by it. A loss that
is not such a mean raises.

Batch norm, the bounds of activations and mixup see the examples of their
microbatch only; running statistics are updated `k` times a step. Every
microbatch draws its own random numbers (`Mode.part`). Loop events and
evaluation use whole batches.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core.progress import Mode
from bnnjax.tasks import checks as task_checks
from bnnjax.tasks.base import Task
from bnnjax.train.networks import Network

Grad = tuple[tuple[jax.Array, tuple[Any, dict[str, jax.Array]]], Any]


def check(task: Task, parts: int) -> None:
  """Raises if the loss of a task needs the whole batch, and it is split.

  Raises:
    ValueError: says what needs the whole batch.
  """
  if parts > 1 and task.whole_batch:
    raise ValueError(
      f"`optim.accumulate` splits a batch in {parts}, but {task.whole_batch} is"
      " of the whole batch and no mean over parts of it: leave `accumulate` out."
    )


def make_gradient(
  network: Network, task: Task, teacher: Network | None = None, parts: int = 1
) -> Callable[..., Grad]:
  """Makes a function that computes loss, outputs and gradients of a batch.

  Args:
    network, task: define the loss.
    teacher: of the task.
    parts: number of microbatches. Microbatch `i` has the examples `i, i +
      parts, ...`, so that every device keeps its own.

  Returns:
    `(params, rest, batch, mode, teacher_state) -> ((loss, (rest, outputs)),
    grads)`.

  Raises:
    ValueError: see `check`. When traced: an output of the loss has neither a
      row per example nor is a mean, the output `weight` is missing, or the loss
      returns something else (see `tasks.checks.checked_loss`).
  """
  check(task, parts)

  def gradient(params, rest, batch, mode, teacher_state):
    guide = teacher and teacher.merge(teacher_state)

    def loss_fn(params):
      model = network.merge({"params": params, "rest": rest})
      found = task.loss(model, batch, mode, guide)
      loss, outputs = task_checks.checked_loss(task, found)
      _, _, new = nnx.split(model, nnx.Param, ...)
      return loss, (nnx.to_pure_dict(new), outputs)

    found, grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
    check_dtypes(params, grads)
    return found, grads

  if parts == 1:
    return gradient
  return functools.partial(_accumulated, gradient, parts, task.weighted)


def _accumulated(
  gradient: Callable[..., Grad],
  parts: int,
  weighted: bool,
  params: Any,
  rest: Any,
  batch: Mapping[str, jax.Array],
  mode: Mode,
  teacher_state: Any,
) -> Grad:
  """Applies `gradient` to each part of a batch, and joins the results."""

  def split(x):
    return jnp.swapaxes(x.reshape(-1, parts, *x.shape[1:]), 0, 1)

  def body(carry, item):
    total, rest = carry
    part, microbatch = item
    told = dataclasses.replace(mode, part=part)
    (loss, (rest, outputs)), grads = gradient(
      params, rest, microbatch, told, teacher_state
    )
    if weighted and "weight" not in outputs:
      raise ValueError(
        "The loss of a task that is `weighted` must return the output `weight`,"
        f" the number of its terms: got {', '.join(outputs)}."
      )
    weight = jnp.asarray(outputs["weight"] if weighted else 1, jnp.float32)
    total = jax.tree.map(lambda t, g: t + weight * g, total, grads)
    return (total, rest), (loss, outputs, weight)

  zeros = jax.tree.map(
    lambda p: jnp.zeros(p.shape, jnp.promote_types(p.dtype, jnp.float32)),
    params,
  )
  items = jnp.arange(parts), jax.tree.map(split, batch)
  (total, rest), (losses, outputs, weights) = jax.lax.scan(
    body, (zeros, rest), items
  )
  count = jnp.sum(weights)
  count = jnp.where(count > 0, count, 1)  # no term at all: gradients are 0
  size = len(jax.tree.leaves(batch)[0]) // parts
  joined = functools.partial(_joined, shares=weights / count, size=size)
  loss = joined("loss", losses)
  outputs = {name: joined(name, x) for name, x in outputs.items()}
  if weighted:
    outputs["weight"] = jnp.sum(weights)
  grads = jax.tree.map(lambda t, p: (t / count).astype(p.dtype), total, params)
  return (loss, (rest, outputs)), grads


def _joined(name: str, x: jax.Array, *, shares: jax.Array, size: int):
  """An output of the whole batch, from the outputs of its microbatches.

  Args:
    name: of the output.
    x: `[parts]`, a mean of each microbatch, or `[parts, size, ...]`.
    shares: `[parts]`, of each microbatch in a mean.
    size: examples of a microbatch.
  """
  if x.ndim == 1:
    return jnp.sum(x * shares)
  if x.shape[1] != size:
    raise ValueError(
      f"With `optim.accumulate` the output {name!r} of a loss must have a row"
      f" for each of the {size} examples, or be a mean: got shape {x.shape[1:]}."
    )
  return jnp.swapaxes(x, 0, 1).reshape(-1, *x.shape[2:])


def check_dtypes(params: Any, grads: Any) -> None:
  """Raises if a gradient has another dtype than its parameter.

  In float16, a gradient of 1e-4 that an optimizer squares is 0.

  Raises:
    TypeError: names the first such parameter.
  """
  pairs = zip(
    jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(grads)
  )
  for (path, param), grad in pairs:
    if grad.dtype != param.dtype:
      name = ".".join(str(getattr(p, "key", p)) for p in path)
      raise TypeError(
        f"The gradient of {name!r} is {grad.dtype}, the parameter {param.dtype}:"
        " a `jax.custom_vjp` rule has to return the dtype of what it"
        " differentiates, e.g. by `.astype`."
      )
