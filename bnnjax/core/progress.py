"""`Progress`, the position in a run, and `Mode`, training or deployed."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=("step", "steps", "epoch", "epochs"),
  meta_fields=(),
)
@dataclasses.dataclass(frozen=True)
class Progress:
  """Position in a run, read by annealed estimators.

  All fields are scalars and may be traced, so that a schedule never retraces.

  Attributes:
    step: optimizer steps done, int32.
    steps: optimizer steps of the whole run, int32.
    epoch: passes over the data done, float32.
    epochs: passes over the data of the whole run, float32.
  """

  step: jax.Array
  steps: jax.Array
  epoch: jax.Array
  epochs: jax.Array

  @classmethod
  def at(cls, step, steps: int, epochs: float) -> "Progress":
    """Progress at `step` of a run of `steps` steps and `epochs` epochs.

    Raises:
      TypeError, ValueError: not a number, or one that no run has.
    """
    _check_number("step", step, 0)
    _check_number("steps", steps, 1)
    _check_number("epochs", epochs, 0)
    step, steps = jnp.asarray(step, jnp.int32), jnp.asarray(steps, jnp.int32)
    epochs = jnp.asarray(epochs, jnp.float32)
    return cls(step, steps, step * (epochs / steps), epochs)

  @property
  def fraction(self) -> jax.Array:
    """`step / steps`, float32 in [0, 1]."""
    return self.step.astype(jnp.float32) / self.steps.astype(jnp.float32)

  def reached(self, when: float | int) -> jax.Array:
    """Whether `when` (see `to_step`) lies at or before this step."""
    return self.step >= to_step(when, self.steps)


def _check_number(name: str, value, least: int) -> None:
  """Raises unless a value is traced, or one number in the range of int32."""
  if isinstance(value, jax.core.Tracer):
    return
  array = isinstance(value, (jax.Array, np.ndarray, np.generic))
  real = isinstance(value, (int, float)) and not isinstance(value, bool)
  if not real and not (array and value.ndim == 0 and value.dtype.kind in "iuf"):
    raise TypeError(f"`{name}` of a Progress is one number, got {value!r}.")
  if not least <= float(value) < 2**31:
    raise ValueError(
      f"`{name}` of a Progress must be at least {least} and below 2^31, got"
      f" {value!r}."
    )


def to_step(when: float | int, steps):
  """The step of a time: an int is a step, a float a fraction of the run.

  A whole float above 1 is a step, too: a config may turn 120 into 120.0.

  Example:
    >>> to_step(0.0625, 800), to_step(7500, 124_800)
    (50, 7500)

  Raises:
    TypeError, ValueError: neither type, negative, or a fraction above 1.
  """
  if isinstance(when, bool) or not isinstance(when, (int, float)):
    raise TypeError(f"A time is an int (step) or a float, got {when!r}.")
  if isinstance(when, float) and when > 1 and when.is_integer():
    when = int(when)
  if not when >= 0 or (isinstance(when, float) and when > 1):
    raise ValueError(
      f"A time is a step >= 0 or a fraction of the run in [0, 1], got {when}."
    )
  if isinstance(when, int):
    return when
  if isinstance(steps, int):
    return round(when * steps)
  return jnp.round(when * steps).astype(jnp.int32)


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=("progress", "part"),
  meta_fields=("train", "deployed", "sow"),
)
@dataclasses.dataclass(frozen=True)
class Mode:
  """Training or deployed: how a layer computes.

  Attributes:
    progress: position in the run; `None` outside a run.
    train: whether batch statistics are used, and statistics updated.
    deployed: whether to compute as the network that will be shipped: schedules
      at their end, quantization started, bounds calibrated. Evaluation, records
      and cost always use it.
    sow: whether layers keep the intermediates that distillation reads, see
      `layers.intermediates`.
    part: number of the microbatch in a step that accumulates the gradients of
      several; `None` in a step of one batch.
  """

  progress: Progress | None = None
  train: bool = False
  deployed: bool = True
  sow: bool = False
  part: jax.Array | None = None

  @classmethod
  def training(cls, progress: Progress | None = None) -> "Mode":
    """The mode of a training step."""
    return cls(progress, train=True, deployed=False)

  def position(self, why: str) -> Progress:
    """The progress; `why` it is needed starts the error.

    Raises:
      ValueError: there is none.
    """
    if self.progress is None:
      raise ValueError(
        f"{why}: training needs `Mode.training(progress)`, or"
        " `set_progress(model, progress)` after `model.train()`."
      )
    return self.progress

  def fold_in(self, key: jax.Array) -> jax.Array:
    """A key for each step and microbatch; outside a run, that of step 0."""
    step = 0 if self.progress is None else self.progress.step
    key = jax.random.fold_in(key, step)
    return key if self.part is None else jax.random.fold_in(key, self.part)


DEPLOYED = Mode()


class Overheard(Mode):
  """The deployed mode; it records whether anything depended on it.

  Attributes:
    asked: whether a field was read that differs in training.
  """

  asked = False

  def __getattribute__(self, name: str):
    if name in ("progress", "train", "deployed"):
      object.__setattr__(self, "asked", True)
    return super().__getattribute__(name)


# So that it can be passed to a transformation of jax.
jax.tree_util.register_dataclass(
  Overheard, ["progress", "part"], ["train", "deployed", "sow"]
)
