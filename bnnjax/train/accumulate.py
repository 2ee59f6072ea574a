"""Gradients of a batch, whole or added up over its microbatches.

A step of `optim.accumulate = k` computes the gradient of `k` microbatches one
after the other, each `1 / k` of the batch, and takes the mean: that of the whole
batch, in the memory of one microbatch. Exactly so where the loss is a mean over
examples, or, of a task that is `weighted`, over as many terms as its output
`weight` says (microbatches differ in the tokens that are scored): gradients, loss
and scalar outputs are then weighted by it. A loss that is no such mean is
refused.

What reads other examples of its batch reads those of its microbatch: batch norm
and the bounds of activations, whose running statistics are updated `k` times a
step, and mixup. Every microbatch draws its own random numbers (`Mode.part`). A
loop event and the evaluation take their batches whole.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core.progress import Mode
from bnnjax.tasks import check as task_check
from bnnjax.tasks.base import Task
from bnnjax.train.networks import Network

Grad = tuple[tuple[jax.Array, tuple[Any, dict[str, jax.Array]]], Any]


def check(task: Task, parts: int) -> None:
  """Refuses to split the batches of a task whose loss is of the whole batch.

  Raises:
    ValueError: says what reads the whole batch.
  """
  if parts > 1 and task.whole_batch:
    raise ValueError(
      f"`optim.accumulate` splits a batch in {parts}, but {task.whole_batch} is"
      " of the whole batch and no mean over parts of it: leave `accumulate` out."
    )


def make_gradient(
  network: Network, task: Task, teacher: Network | None = None, parts: int = 1
) -> Callable[..., Grad]:
  """`(params, rest, batch, mode, teacher_state) -> ((loss, (rest, outputs)), grads)`.

  Args:
    network, task: give the loss.
    teacher: of the task.
    parts: microbatches; of examples `i, i + parts, ...`, which lie on the
      devices where the batch has them.

  Raises:
    ValueError: see `check`; when it is traced: an output of the loss that is
      neither of examples nor a mean, or none of the name `weight`; what the
      loss returns is no loss (see `tasks.check.returned`).
  """
  check(task, parts)

  def gradient(params, rest, batch, mode, teacher_state):
    guide = teacher and teacher.merge(teacher_state)

    def loss_fn(params):
      model = network.merge({"params": params, "rest": rest})
      found = task.loss(model, batch, mode, guide)
      loss, outputs = task_check.returned(task, found)
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
  """`gradient` of a batch by its parts."""

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
  shares = weights / count

  size = len(jax.tree.leaves(batch)[0]) // parts

  def joined(name, x):
    if x.ndim == 1:  # of every microbatch a mean
      return jnp.sum(x * shares)
    if x.shape[1] != size:
      raise ValueError(
        f"With `optim.accumulate` the output {name!r} of a loss must have a row"
        f" for each of the {size} examples, or be a mean: got shape"
        f" {x.shape[1:]}."
      )
    return jnp.swapaxes(x, 0, 1).reshape(-1, *x.shape[2:])

  loss = joined("loss", losses)
  outputs = {name: joined(name, x) for name, x in outputs.items()}
  if weighted:
    outputs["weight"] = jnp.sum(weights)
  grads = jax.tree.map(lambda t, p: (t / count).astype(p.dtype), total, params)
  return (loss, (rest, outputs)), grads


def check_dtypes(params: Any, grads: Any) -> None:
  """A gradient in another dtype has lost what an optimizer squares.

  Raises:
    TypeError: names the first parameter.
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
