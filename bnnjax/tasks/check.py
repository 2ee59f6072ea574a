"""What the loop refuses of a task, before it trains and when it is traced."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bnnjax.errors import UserError
from bnnjax.tasks.base import Batch, Task
from bnnjax.tasks.metrics import names_of

LOGGED = ("loss", "grad_norm", "flip_ratio")  # of every `train_metrics`


def check(name: str, task: Any) -> None:
  """Refuses what is no task, or one that the loop cannot log or rank.

  Args:
    name: that it is registered under.
    task: as it was built.

  Raises:
    UserError: no `Task`, or metrics that lack a name.
  """
  if not isinstance(task, Task):
    raise UserError(
      f"Task {name!r} must be a subclass of `bnnjax.tasks.base.Task`, which"
      " says what a task has to define: got"
      f" {type(task).__module__}.{type(task).__qualname__}."
    )
  lacking = set(LOGGED) - set(names_of(task.train_metrics))
  if lacking:
    raise UserError(
      f"`train_metrics` of task {name!r} lacks {', '.join(sorted(lacking))}:"
      " derive it from `bnnjax.tasks.metrics.TrainLoss`."
    )
  known = names_of(task.eval_metrics)
  if not task.gathered and task.headline not in known:
    raise UserError(
      f"`headline` of task {name!r} must be a metric of its `eval_metrics`"
      f" ({', '.join(known)}): got {task.headline!r}."
    )


def per_example(
  task: Task, outputs: Mapping[str, jax.Array], batch: Batch
) -> dict[str, jax.Array]:
  """What `task.evaluate` gave, with a mask; refuses what has not a row each.

  A mean over a batch would count the rows that fill up the last one. They are
  masked whatever mask of its own the task has, of tokens, e.g.

  Raises:
    TypeError: names the output, or one of `gathered` that is missing.
  """
  name, (size,) = type(task).__name__, batch["mask"].shape
  for key, value in outputs.items():
    if jnp.shape(value)[:1] != (size,):
      raise TypeError(
        f"`evaluate` of {name} must return a row for each of the {size} examples"
        f" of a batch: got {key!r} of shape {jnp.shape(value)}."
      )
  for key in task.gathered:
    if key not in outputs:
      raise TypeError(
        f"`gathered` of {name} names {key!r}, which `evaluate` does not return:"
        f" got {', '.join(outputs)}."
      )
  own = outputs.get("mask")
  if own is None:
    return {**outputs, "mask": batch["mask"]}
  rows = batch["mask"].reshape(-1, *(1,) * (own.ndim - 1))
  return {**outputs, "mask": own * rows.astype(own.dtype)}
