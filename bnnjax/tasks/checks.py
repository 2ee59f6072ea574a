"""Checks of tasks: their attributes, and the values their methods return."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bnnjax.errors import UserError
from bnnjax.tasks.base import Batch, Task
from bnnjax.tasks.metrics import names_of

LOGGED = ("loss", "grad_norm", "flip_ratio")  # of every `train_metrics`
_LOSS = "a scalar, and a dict of outputs with `loss` among them"


def check_task(name: str, task: Any) -> None:
  """Raises unless a task can be trained, logged and ranked.

  Args:
    name: name in the registry.
    task: the object that was built.

  Raises:
    UserError: not a `Task`, no `loss`, or metrics without a required name.
  """
  if not isinstance(task, Task):
    raise UserError(
      f"Task {name!r} must be a subclass of `bnnjax.tasks.base.Task`, which"
      " says what a task has to define: got"
      f" {type(task).__module__}.{type(task).__qualname__}."
    )
  if type(task).loss is Task.loss:
    raise UserError(
      f"Task {name!r} ({type(task).__name__}) has no `loss`: define"
      f" `loss(self, model, batch, mode, teacher=None)`, which returns {_LOSS}."
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


def checked_loss(
  task: Task, found: Any
) -> tuple[jax.Array, dict[str, jax.Array]]:
  """The return value of `task.loss`, checked.

  Raises:
    UserError: not a pair of a scalar and a dict with `loss`; the message says
      what it is.
  """
  if not isinstance(found, tuple | list) or len(found) != 2:
    got = _shown(found)
  elif not _is_scalar(found[0], jnp.floating):
    got = f"{_shown(found[0])} as the scalar"
  elif not isinstance(found[1], Mapping):
    got = f"{_shown(found[1])} as the dict"
  elif "loss" not in found[1]:
    got = f"the outputs {', '.join(map(str, found[1])) or '(none)'}"
  else:
    return found[0], dict(found[1])
  raise UserError(
    f"`loss` of {type(task).__name__} must return {_LOSS}: got {got}."
  )


def checked_reduced(task: Task, found: Any) -> dict[str, float]:
  """The return value of `task.reduce`, checked and converted to floats.

  Raises:
    UserError: not a dict of numbers; the message says what it is.
  """
  what = f"`reduce` of {type(task).__name__} must return a dict of numbers"
  if not isinstance(found, Mapping):
    raise UserError(f"{what}: got {_shown(found)}.")
  for key, value in found.items():
    if not isinstance(key, str):
      raise UserError(f"{what} by their names: got the name {key!r}.")
    if not _is_scalar(value, jnp.floating, jnp.integer, jnp.bool_):
      raise UserError(f"{what}: got {_shown(value)} for {key!r}.")
  return {key: float(value) for key, value in found.items()}


def _is_scalar(value: Any, *kinds: Any) -> bool:
  if not isinstance(
    value, (bool, int, float, np.generic, np.ndarray, jax.Array)
  ):
    return False
  dtype = value.dtype if hasattr(value, "dtype") else np.asarray(value).dtype
  return np.shape(value) == () and any(
    jnp.issubdtype(dtype, kind) for kind in kinds
  )


def _shown(value: Any) -> str:
  """Short description: `float32 [3]`, `tuple of 3`, `NoneType`, `'high'`."""
  if hasattr(value, "dtype") and hasattr(value, "shape"):
    return f"{value.dtype} {list(value.shape)}"
  if isinstance(value, (str, bool, int, float)):
    return repr(value)
  length = f" of {len(value)}" if isinstance(value, (tuple, list)) else ""
  return f"{type(value).__name__}{length}"


def checked_outputs(
  task: Task, outputs: Mapping[str, jax.Array], batch: Batch
) -> dict[str, jax.Array]:
  """The return value of `task.evaluate`, checked and masked.

  Every output needs a row per example: a mean over a batch would include the
  rows that pad the last one. These are also masked in a mask of the task's own,
  such as one of tokens.

  Raises:
    UserError: not a dict.
    TypeError: an output has another number of rows, or one of `gathered` is
      missing; names it.
  """
  name, (size,) = type(task).__name__, batch["mask"].shape
  if not isinstance(outputs, Mapping):
    raise UserError(
      f"`evaluate` of {name} must return a dict of arrays, a row for each"
      f" example: got {_shown(outputs)}."
    )
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
